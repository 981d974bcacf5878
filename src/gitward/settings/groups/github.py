"""How Gitward reaches GitHub, and as whom."""

from __future__ import annotations

from pydantic import AliasChoices, Field

from gitward.settings.groups.source import EnvironmentSettings
from gitward.settings.values import AbsolutePath, ApiUrl, AppId, ExistingFile, Proxy, ServerUrl, Url
from gitward.web_proxy import Route


class GitHubSettings(EnvironmentSettings):
    github_server_url: ServerUrl = Field(
        "https://github.com",
        alias="GITHUB_SERVER_URL",
        description="Where GitHub's web pages and git live, as seen from inside the sandbox.",
    )
    github_api_url: ApiUrl = Field(
        "https://api.github.com",
        alias="GITHUB_API_URL",
        description="GitHub's REST API as seen from inside the sandbox; Enterprise Server has it at /api/v3.",
    )
    github_token_file: AbsolutePath | None = Field(
        None,
        alias="GITHUB_TOKEN_FILE",
        description="A file with the token, read for every run, so that you can rotate the token without a restart.",
    )
    github_app_id: AppId | None = Field(
        None,
        alias="GITHUB_APP_ID",
        description="Id or client id of a GitHub App that makes the tokens, one for each session's repository.",
    )
    github_app_private_key_file: AbsolutePath | None = Field(
        None,
        alias="GITHUB_APP_PRIVATE_KEY_FILE",
        description="The App's private key (PEM), read for every token, so that you can rotate the key.",
    )
    upstream_url: Url | None = Field(
        None,
        alias="GITWARD_UPSTREAM_URL",
        description=(
            "The address that job and broker connect to for git, such as a company's gateway. Default: "
            "GITHUB_SERVER_URL."
        ),
    )
    upstream_api_url: Url | None = Field(
        None,
        alias="GITWARD_UPSTREAM_API_URL",
        description="The same for the REST API. Default: GITHUB_API_URL.",
    )
    ssl_cert_file: ExistingFile | None = Field(
        None,
        alias="SSL_CERT_FILE",
        description="Trusted certificates (PEM) for connections to GitHub. Default: the system's.",
    )
    https_proxy: Proxy | None = Field(
        None,
        alias="HTTPS_PROXY",
        validation_alias=AliasChoices("HTTPS_PROXY", "https_proxy"),
        description=(
            "A proxy for all traffic to GitHub, to the storage of LFS objects, to hosts of GITWARD_EGRESS and "
            "GITWARD_INJECT, and to OIDC issuers: `http://user:password@proxy.example:3128`. Also `https_proxy`."
        ),
    )
    no_proxy: str = Field(
        "",
        alias="NO_PROXY",
        validation_alias=AliasChoices("NO_PROXY", "no_proxy"),
        description=(
            "Hosts that Gitward reaches without the proxy: names (with all names below them), addresses, networks, "
            "`*`, separated by commas. Also `no_proxy`."
        ),
    )

    @property
    def effective_upstream_url(self) -> str:
        return self.upstream_url or self.github_server_url

    @property
    def effective_upstream_api_url(self) -> str:
        return self.upstream_api_url or self.github_api_url

    @property
    def route(self) -> Route:
        """How Gitward itself reaches other hosts."""
        return Route(proxy=self.https_proxy, exceptions=self.no_proxy)
