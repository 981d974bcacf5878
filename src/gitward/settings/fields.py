"""Every setting, as a field of one frozen value.

GitHub's own names (GITHUB_TOKEN, GITHUB_SERVER_URL, GITHUB_API_URL) are used as they are; ours begin with
GITWARD_. Values come from the environment; secrets may also stand in a file `.env` in the working folder.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gitward.settings.environment import default_data_dir
from gitward.settings.values import (
    LOOPBACK,
    AbsolutePath,
    AllowWorkflows,
    ApiUrl,
    AppId,
    Credentials,
    ExistingFile,
    LimitsMode,
    Line,
    Proxy,
    SandboxKind,
    ServerUrl,
    Url,
    WebUrl,
    Writes,
)
from gitward.web_proxy import Route

COLLABORATOR = "collaborator"  # instead of rules


class Settings(BaseSettings):
    """What an operator can set. The table in docs/settings.md is made from these fields.

    They are read by their alias alone and in this spelling: many a shell exports a HOST or PORT that is not ours.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, case_sensitive=True)

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
    data_dir: AbsolutePath = Field(
        default_factory=default_data_dir,
        alias="GITWARD_DATA_DIR",
        description=(
            "The folder for database, key and workspaces. Default: /var/lib/gitward as root, else the XDG data folder."
        ),
    )
    database_url: str | None = Field(
        None,
        alias="GITWARD_DATABASE_URL",
        description="sqlite:///path or postgresql://…. Default: gitward.db in the data folder.",
    )
    host: str = Field("localhost", alias="GITWARD_HOST", description="The address that the API listens on.")
    port: int = Field(8000, ge=0, le=65535, alias="GITWARD_PORT", description="Its port; 0 takes a free one.")
    public_url: WebUrl | None = Field(
        None,
        alias="GITWARD_PUBLIC_URL",
        description="The API's public address; pull requests link to it. Default: host and port.",
    )
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
        "`collaborator`: whoever may write to a repository on GitHub. See docs/signing-in.md.",
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
    credentials: Credentials = Field(
        Credentials.BROKER,
        alias="GITWARD_CREDENTIALS",
        description="broker: gh gets a worthless run credential inside the sandbox; login: gh gets the token itself.",
    )
    sandbox: SandboxKind = Field(
        SandboxKind.BUBBLEWRAP, alias="GITWARD_SANDBOX", description="The engine that confines commands."
    )
    sandbox_paths: str = Field(
        "",
        alias="GITWARD_SANDBOX_PATHS",
        description="More tool folders (separated by `:`), visible read-only in the sandbox and added to its PATH.",
    )
    limits: LimitsMode = Field(
        LimitsMode.BEST_EFFORT,
        alias="GITWARD_LIMITS",
        description=(
            "strict: refuse to start where the machine cannot enforce a limit; best-effort: enforce what the "
            "machine can."
        ),
    )
    memory_mib: int = Field(4096, ge=64, alias="GITWARD_MEMORY", description="Memory of one sandbox, in MiB.")
    processes: int = Field(512, ge=16, alias="GITWARD_PROCESSES", description="Processes and threads of one sandbox.")
    disk_mib: int = Field(10240, ge=64, alias="GITWARD_DISK", description="Disk of one session's workspace, in MiB.")
    max_runs: int = Field(4, ge=1, le=1000, alias="GITWARD_MAX_RUNS", description="Concurrent runs, over all workers.")
    max_runs_per_user: int = Field(
        4, ge=1, le=1000, alias="GITWARD_MAX_RUNS_PER_USER", description="Concurrent runs of one user."
    )
    max_runs_per_worker: int | None = Field(
        None,
        ge=1,
        le=1000,
        alias="GITWARD_MAX_RUNS_PER_WORKER",
        description="Concurrent runs of one worker; the same for all workers. Default: GITWARD_MAX_RUNS.",
    )
    lease_seconds: float = Field(
        6.0,
        ge=3,
        le=300,
        alias="GITWARD_LEASE_SECONDS",
        description="How long a worker on Postgres may be silent before others take its runs over.",
    )
    grace_seconds: int = Field(
        30,
        ge=0,
        le=24 * 3600,
        alias="GITWARD_GRACE_SECONDS",
        description="How long running runs may continue after SIGTERM, before the worker hands them over.",
    )
    run_timeout_seconds: int = Field(
        3600,
        ge=1,
        le=7 * 24 * 3600,
        alias="GITWARD_RUN_TIMEOUT_SECONDS",
        description="Time limit of a run; a run may ask for less.",
    )
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
    anthropic_api_key_file: Path | None = Field(
        None,
        alias="ANTHROPIC_API_KEY_FILE",
        description="A file with agents' key for api.anthropic.com, read for each run. Or export ANTHROPIC_API_KEY.",
    )
    openai_api_key_file: Path | None = Field(
        None,
        alias="OPENAI_API_KEY_FILE",
        description="The same for api.openai.com. Or export OPENAI_API_KEY.",
    )
    agents_file: Path | None = Field(
        None,
        alias="GITWARD_AGENTS_FILE",
        description="A TOML file with agents beside the built-in ones. See docs/agents.md.",
    )
    agent_start_seconds: int = Field(
        90,
        ge=1,
        le=3600,
        alias="GITWARD_AGENT_START_SECONDS",
        description="How long an agent may take from its start until it is ready for its prompt.",
    )
    agent_idle_seconds: int = Field(
        900,
        ge=1,
        le=7 * 24 * 3600,
        alias="GITWARD_AGENT_IDLE_SECONDS",
        description=(
            "How long an agent's turn may last without activity of the agent or its model. Gitward then ends the "
            "turn, and keeps its work."
        ),
    )
    prices: Path | None = Field(
        None,
        alias="GITWARD_PRICES",
        description="A JSON file with the prices of models, for `usd` in usage and budgets. See docs/agents.md.",
    )
    daily_budget: str = Field(
        "",
        alias="GITWARD_DAILY_BUDGET",
        description=(
            "What the agents of one user may use of models on one day (UTC), such as "
            "`requests=500,tokens=20000000,usd=25`. Empty: no limit. See docs/agents.md."
        ),
    )
    agent_keep_seconds: int = Field(
        300,
        ge=1,
        le=24 * 3600,
        alias="GITWARD_AGENT_KEEP_SECONDS",
        description=(
            "How often Gitward keeps the work of a running agent, for the case that its machine is lost; its "
            "conversation at least once a minute."
        ),
    )
    agents_folder: Path | None = Field(
        None,
        alias="GITWARD_AGENTS_DIR",
        description="The folder for programs of `gitward agents install`. Default: `agents` in the data folder.",
    )
    environments: str = Field(
        "",
        alias="GITWARD_ENVIRONMENTS",
        description=(
            "Environments that sessions may name, separated by commas; the first is the default. `host` is the "
            "worker's machine. Empty: `host`, and all that were added. See docs/environments.md."
        ),
    )
    environments_folder: AbsolutePath | None = Field(
        None,
        alias="GITWARD_ENVIRONMENTS_DIR",
        description="The folder for `gitward environments add`. Default: `environments` in the data folder.",
    )
    environment_mib: int = Field(
        16384,
        ge=16,
        alias="GITWARD_ENVIRONMENT_MB",
        description="The largest image that `gitward environments add` takes, unpacked, in MiB.",
    )
    setup_seconds: int = Field(
        1800,
        ge=1,
        le=7 * 24 * 3600,
        alias="GITWARD_SETUP_SECONDS",
        description="How long a run's setup may take, within the run's own limit.",
    )
    operators: str = Field(
        "",
        alias="GITWARD_OPERATORS",
        description="Who is an operator, by claims: `groups=platform-ops; sub=prom`. Operators see the audit log, "
        "their pages, and /metrics from another machine. With several issuers each names one, as in GITWARD_AUTHORIZE. "
        "Default: without issuers GITWARD_LOCAL_SUBJECT, else nobody.",
    )
    metrics_port: int = Field(
        0,
        ge=0,
        le=65535,
        alias="GITWARD_METRICS_PORT",
        description="A port on loopback with this process's metrics, for a worker without an API and an API behind a "
        "proxy; 0: none.",
    )
    retention_days: int = Field(
        90,
        ge=0,
        le=36500,
        alias="GITWARD_RETENTION_DAYS",
        description=(
            "Days after their last change until ended sessions are removed, with events and artifacts; 0 keeps them."
        ),
    )
    audit_days: int = Field(
        365,
        ge=0,
        le=36500,
        alias="GITWARD_AUDIT_DAYS",
        description="Days for which the audit log keeps its lines; 0: until there are a million of them.",
    )
    workspace_hours: int = Field(
        72,
        ge=1,
        le=876000,
        alias="GITWARD_WORKSPACE_HOURS",
        description="Idle hours until a session's workspace is removed; its next run begins without caches.",
    )
    mirror_mib: int = Field(
        20480,
        ge=0,
        alias="GITWARD_MIRROR_MB",
        description=(
            "Disk for all mirrors of repositories together, in MiB; 0: no mirrors, every run clones. See "
            "docs/mirrors.md."
        ),
    )
    reserve_mib: int = Field(
        32,
        ge=0,
        le=4096,
        alias="GITWARD_RESERVE_MB",
        description=(
            "Disk that is reserved for a SQLite database, in MiB, so that runs end truthfully when the disk is "
            "full; of a small disk an eighth at most. 0: no reserve. See docs/operations.md."
        ),
    )
    repos: str = Field(
        "",
        alias="GITWARD_REPOS",
        description="Repositories that sessions may name: globs such as `acme/*`, separated by commas. Empty: all.",
    )
    commit_name: Line | None = Field(
        None, alias="GITWARD_COMMIT_NAME", description="Author of commits. Default: the token's owner."
    )
    commit_email: Line | None = Field(
        None,
        alias="GITWARD_COMMIT_EMAIL",
        description="Their address. Default: the token owner's noreply address.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 -- the base class's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- the base class's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- the base class's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings

    @property
    def effective_database_url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / 'gitward.db'}"

    @property
    def sqlite_file(self) -> Path | None:
        """The file of a SQLite database; None: the database is no SQLite one. Known without loading a driver."""
        url = self.effective_database_url.partition("?")[0]
        return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None

    @property
    def model_key_files(self) -> dict[str, Path]:
        """Files with the keys of known models' providers, by the variable in whose place they stand."""
        found = {"ANTHROPIC_API_KEY": self.anthropic_api_key_file, "OPENAI_API_KEY": self.openai_api_key_file}
        return {variable: path.absolute() for variable, path in found.items() if path is not None}

    @property
    def agents_dir(self) -> Path:
        return self.agents_folder or self.data_dir / "agents"

    @property
    def environments_dir(self) -> Path:
        return self.environments_folder or self.data_dir / "environments"

    @property
    def allowed_environments(self) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.environments.split(",") if part.strip())

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

    @property
    def is_proxied(self) -> bool:
        """Whether people reach the API through something else on its machine."""
        return self.public_url is not None and urlsplit(self.public_url).hostname not in LOOPBACK

    @property
    def slots(self) -> int:
        """How many runs this worker takes at the same time."""
        return min(self.max_runs, self.max_runs_per_worker or self.max_runs)

    @property
    def tool_paths(self) -> tuple[Path, ...]:
        return tuple(Path(part) for part in self.sandbox_paths.split(":") if part)

    @property
    def asks_collaborators(self) -> bool:
        """Whether GitHub is asked who may use a repository."""
        return self.authorize.strip() == COLLABORATOR

    @property
    def issuers(self) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.oidc_issuers.split(",") if part.strip())

    @property
    def repo_globs(self) -> tuple[str, ...]:
        return tuple(part.strip().lower() for part in self.repos.split(",") if part.strip())
