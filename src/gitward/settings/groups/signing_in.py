"""Who may call the API and sign in, and what they may use."""

from __future__ import annotations

from pydantic import Field

from gitward.settings.groups.source import EnvironmentSettings
from gitward.settings.values import AbsolutePath, Line

COLLABORATOR = "collaborator"  # instead of rules


class SigningInSettings(EnvironmentSettings):
    oidc_issuers: str = Field(
        "",
        alias="GITWARD_OIDC_ISSUERS",
        description="OpenID Connect issuers whose JWTs the API accepts, separated by commas. Empty: the local key's.",
    )
    authorize: str = Field(
        "",
        alias="GITWARD_AUTHORIZE",
        description="Who may use which repositories: `groups=platform -> acme/*; sub=repo:acme/ci:* -> acme/ci`. With "
        "several issuers each rule names one: `iss=https://id.example & groups=platform -> acme/*`. Or "
        "`collaborator`: those who may write to the repository on GitHub. See docs/signing-in.md.",
    )
    login_claim: str | None = Field(
        None,
        max_length=200,
        alias="GITWARD_LOGIN_CLAIM",
        description="With GITWARD_AUTHORIZE=collaborator: the claim with the caller's login on GitHub. Callers must "
        "not be able to change it themselves.",
    )
    local_subject: Line = Field(
        "dev",
        max_length=255,
        alias="GITWARD_LOCAL_SUBJECT",
        description="Without issuers: the subject of `gitward token` and of the links that sign a browser in.",
    )
    sign_in_hours: float = Field(
        12.0,
        ge=0.01,
        le=24 * 365,
        alias="GITWARD_SIGN_IN_HOURS",
        description="How long a browser stays signed in at most. See docs/signing-in.md.",
    )
    oidc_audience: str = Field(
        "gitward", min_length=1, alias="GITWARD_OIDC_AUDIENCE", description="The audience (`aud`) that a JWT must have."
    )
    oidc_client_id: Line | None = Field(
        None,
        max_length=500,
        alias="GITWARD_OIDC_CLIENT_ID",
        description="What the issuer knows Gitward as, for the sign-in of browsers. See docs/signing-in.md.",
    )
    oidc_client_secret_file: AbsolutePath | None = Field(
        None,
        alias="GITWARD_OIDC_CLIENT_SECRET_FILE",
        description="A file with the client's secret. Or export GITWARD_OIDC_CLIENT_SECRET. None: a public client.",
    )
    oidc_sign_in_issuer: str | None = Field(
        None,
        alias="GITWARD_OIDC_SIGN_IN_ISSUER",
        description="Which of GITWARD_OIDC_ISSUERS browsers sign in at. Default: the first.",
    )
    oidc_scopes: Line = Field(
        "openid profile email",
        alias="GITWARD_OIDC_SCOPES",
        description="What the sign-in asks the issuer for; `openid` must be among them. Often `groups` and "
        "`offline_access` (to renew sign-ins) are wanted too.",
    )

    @property
    def asks_collaborators(self) -> bool:
        """Whether GitHub is asked who may use a repository."""
        return self.authorize.strip() == COLLABORATOR

    @property
    def issuers(self) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.oidc_issuers.split(",") if part.strip())
