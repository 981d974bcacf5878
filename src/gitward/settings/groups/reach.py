"""What commands may write at GitHub and reach elsewhere, and who hears of it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from gitward.settings.groups.source import EnvironmentSettings
from gitward.settings.values import AllowWorkflows, Writes


class ReachSettings(EnvironmentSettings):
    writes: Writes = Field(
        Writes.OWN,
        alias="GITWARD_WRITES",
        description="own: commands write the texts of their session's own pull request and issues; repository: texts, "
        "labels and people of all issues and pull requests of the repository. See docs/reach.md.",
    )
    allow_workflows: AllowWorkflows = Field(
        AllowWorkflows.SESSIONS,
        alias="GITWARD_ALLOW_WORKFLOWS",
        description=(
            "sessions: a session's POST may allow its pushes to change .github/workflows/; never: no session may, "
            "not even one that was posted before."
        ),
    )
    public_read: bool = Field(
        False,
        alias="GITWARD_PUBLIC_READ",
        description="Whether git in a sandbox may fetch every public repository of GitHub, always without a token.",
    )
    egress: str = Field(
        "",
        alias="GITWARD_EGRESS",
        description="Other hosts that commands may reach: `packages` (the usual registries), `*.example.org:8443`, "
        "`http://deb.debian.org`, separated by commas. Empty: none. See docs/egress.md.",
    )
    egress_private: str = Field(
        "",
        alias="GITWARD_EGRESS_PRIVATE",
        description="Private networks that may contain those hosts, such as `10.20.0.0/16`, separated by commas.",
    )
    callback_hosts: str = Field(
        "",
        alias="GITWARD_CALLBACK_HOSTS",
        description="Hosts that a session's `callback_url` may name: `hooks.example.org`, `*.example.org:8443`, "
        "separated by commas. Empty: none. See docs/webhooks.md.",
    )
    webhooks_file: Path | None = Field(
        None,
        alias="GITWARD_WEBHOOKS_FILE",
        description="A file with the server's own webhooks: on each line an address, a format and a secret.",
    )
    inject: str = Field(
        "",
        alias="GITWARD_INJECT",
        description=(
            "Secrets that the broker adds to requests, so that no sandbox holds them: `api.example.com = "
            "x-api-key: MODEL_KEY; other.example = authorization: Bearer file:/path`. The secret comes from a "
            "variable or a file, never from this setting. Paths behind a host are the only ones that commands may "
            "request there; `/*` stands for all paths below: `api.example.com /v1/messages /v1/models/* = "
            "x-api-key: MODEL_KEY`. See docs/egress.md."
        ),
    )
