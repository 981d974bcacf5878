"""All settings, read once at the entry point into a frozen value. The only module that reads the environment.

GitHub's own names (GITHUB_TOKEN, GITHUB_SERVER_URL, GITHUB_API_URL) are used as they are; ours begin with
GITWARD_. Values come from the environment; secrets may also stand in a file `.env` in the working folder.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, AliasChoices, Field, PlainValidator, ValidationError, WithJsonSchema
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gitward import env_file
from gitward.errors import GitwardError, SettingsError
from gitward.secrets import SHORTEST, Secret
from gitward.web_proxy import Route, WebProxy, parse_proxy

log = logging.getLogger(__name__)

_APP_ID = re.compile(r"[0-9]{1,20}|Iv[0-9A-Za-z.]{1,40}")
_URL = re.compile(r"[\x21-\x7e]+")  # a host in another script is written in its ASCII form


class Credentials(StrEnum):
    """How gh and git authenticate inside the sandbox."""

    BROKER = "broker"
    LOGIN = "login"


class Writes(StrEnum):
    """What commands may write of issues and pull requests."""

    OWN = "own"
    REPOSITORY = "repository"


class AllowWorkflows(StrEnum):
    """Whether a session may ask for the right to change workflows."""

    SESSIONS = "sessions"
    NEVER = "never"


class SandboxKind(StrEnum):
    BUBBLEWRAP = "bubblewrap"


class LimitsMode(StrEnum):
    """What happens where the host cannot hold a limit."""

    STRICT = "strict"
    BEST_EFFORT = "best-effort"


_API_PATHS = frozenset({"", "/api/v3"})
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not _URL.fullmatch(value):
        raise ValueError("must be an address such as https://github.com")
    if not _has_a_port(parts):
        raise ValueError("must have a port between 1 and 65535, or none")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must be an address without user name, password, query or fragment")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError("must begin with https:// unless it is on this machine: the token is sent there")
    return value.rstrip("/")


def _has_a_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


def _https_url(value: str) -> str:
    """As gh and git inside the sandbox need it, whose hosts have no capitals and no port."""
    if not value.lower().startswith("https://"):
        raise ValueError("must begin with https:// because gh speaks nothing else")
    parts = urlsplit(_url(value))
    if parts.port not in {None, 443}:
        raise ValueError(
            "must have no port, because gh takes none: give the host alone here, and the address with its port in "
            "GITWARD_UPSTREAM_URL and GITWARD_UPSTREAM_API_URL"
        )
    return f"https://{parts.netloc.lower().removesuffix(':443')}{parts.path}"


def _server_url(value: str) -> str:
    url = _https_url(value)
    if urlsplit(url).path:
        raise ValueError("must have no path: gh and git look for repositories right below the host")
    if url == "https://www.github.com":
        raise ValueError("must be https://github.com: gh and git do not take www.github.com")
    return url


def _api_url(value: str) -> str:
    url = _https_url(value)
    if urlsplit(url).path not in _API_PATHS:
        raise ValueError("must end with the host, or with /api/v3 on Enterprise Server: gh looks nowhere else")
    if url == "https://www.github.com":
        raise ValueError("must be https://api.github.com")
    return url


def _proxy(value: object) -> WebProxy | None:
    if value is None or isinstance(value, WebProxy):
        return value
    return parse_proxy(str(value))


def _web_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not _URL.fullmatch(value):
        raise ValueError("must be an address such as https://gitward.example")
    return value.rstrip("/")


def _file(value: Path) -> Path:
    if not value.is_file():
        raise ValueError("must be a file that exists")
    return value


def _line(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError("must be one line of printable characters")
    return value


def _app_id(value: str) -> str:
    if not _APP_ID.fullmatch(value):
        raise ValueError("must be the App's id (a number) or its client id (Iv…)")
    return value


Url = Annotated[str, AfterValidator(_url)]
WebUrl = Annotated[str, AfterValidator(_web_url)]
ServerUrl = Annotated[str, AfterValidator(_server_url)]
ApiUrl = Annotated[str, AfterValidator(_api_url)]
Proxy = Annotated[WebProxy, PlainValidator(_proxy), WithJsonSchema({"type": "string"})]
AbsolutePath = Annotated[Path, AfterValidator(lambda value: value.expanduser().absolute())]
ExistingFile = Annotated[Path, AfterValidator(_file)]
AppId = Annotated[str, AfterValidator(_app_id)]
Line = Annotated[str, AfterValidator(_line)]
MiB = 1024 * 1024


def _default_data_dir() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/gitward")
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "share") / "gitward"


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
        default_factory=_default_data_dir,
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
        "several issuers each rule names one: `iss=https://id.example & groups=platform -> acme/*`.",
    )
    oidc_audience: str = Field(
        "gitward", min_length=1, alias="GITWARD_OIDC_AUDIENCE", description="The audience (`aud`) that a JWT must have."
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
    agents_folder: Path | None = Field(
        None,
        alias="GITWARD_AGENTS_DIR",
        description="The folder for programs of `gitward agents install`. Default: `agents` in the data folder.",
    )
    operators: str = Field(
        "",
        alias="GITWARD_OPERATORS",
        description="Who may read /metrics from another machine, by a JWT's claims: `groups=platform-ops; sub=prom`. "
        "With several issuers each names one, as in GITWARD_AUTHORIZE.",
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
    def model_key_files(self) -> dict[str, Path]:
        """Files with the keys of known models' providers, by the variable in whose place they stand."""
        found = {"ANTHROPIC_API_KEY": self.anthropic_api_key_file, "OPENAI_API_KEY": self.openai_api_key_file}
        return {variable: path.absolute() for variable, path in found.items() if path is not None}

    @property
    def agents_dir(self) -> Path:
        return self.agents_folder or self.data_dir / "agents"

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
        return self.public_url is not None and urlsplit(self.public_url).hostname not in _LOOPBACK

    @property
    def slots(self) -> int:
        """How many runs this worker takes at the same time."""
        return min(self.max_runs, self.max_runs_per_worker or self.max_runs)

    @property
    def tool_paths(self) -> tuple[Path, ...]:
        return tuple(Path(part) for part in self.sandbox_paths.split(":") if part)

    @property
    def issuers(self) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.oidc_issuers.split(",") if part.strip())

    @property
    def repo_globs(self) -> tuple[str, ...]:
        return tuple(part.strip().lower() for part in self.repos.split(",") if part.strip())


def load_settings(**overrides: Any) -> Settings:
    """The settings of this process.

    :param overrides: by their names in the environment; they come before all else.
    :raises SettingsError: one line for each wrong or unknown setting.
    """
    try:
        problems = [f"{name}: there is no such setting; see docs/settings.md" for name in _unknown_names()]
        settings = Settings(**overrides)
    except ValidationError as error:
        problems += [_problem(detail["loc"], detail["msg"]) for detail in error.errors(include_input=False)]
        raise SettingsError(problems) from None
    problems += [
        f"GITWARD_SANDBOX_PATHS: {path} must be an absolute path of a folder that exists"
        for path in settings.tool_paths
        if not path.is_absolute() or not path.is_dir()
    ]
    if settings.issuers and not settings.repo_globs and not settings.authorize.strip():
        problems.append(
            "GITWARD_OIDC_ISSUERS: set GITWARD_REPOS or GITWARD_AUTHORIZE too, "
            "or everybody with an account there could use the token on everything"
        )
    problems += _app_problems(settings)
    problems += _file_problems(settings)
    if problems:
        raise SettingsError(problems)
    if names := env_file.used(os.environ):
        log.info("Read from %s in %s: %s", env_file.NAME, Path.cwd(), ", ".join(names))
    return settings


def _file_problems(settings: Settings) -> list[str]:
    """What is wrong with `.env`."""
    try:
        return env_file.problems(settings.inject)
    except (OSError, UnicodeDecodeError) as error:
        return [f"{env_file.NAME}: cannot be read ({type(error).__name__})"]
    except env_file.NotTrusted as error:
        return [f"{env_file.NAME}: {error}"]


def _app_problems(settings: Settings) -> list[str]:
    """What is wrong with how the tokens are to be had."""
    app_id, key_file = settings.github_app_id, settings.github_app_private_key_file
    if app_id is None and key_file is None:
        return []
    if app_id is None:
        return ["GITHUB_APP_PRIVATE_KEY_FILE: set GITHUB_APP_ID too"]
    if key_file is None:
        return ["GITHUB_APP_ID: set GITHUB_APP_PRIVATE_KEY_FILE too"]
    if settings.github_token_file is not None:
        return ["GITHUB_TOKEN_FILE: there is a GitHub App (GITHUB_APP_ID); set one of the two"]
    return []


def _problem(location: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ")
    return f"{'.'.join(str(part) for part in location)}: {message[:1].lower()}{message[1:]}"


def _unknown_names() -> list[str]:
    """Names of ours in the environment that no setting reads: usually a slip of the pen."""
    known = {*(str(field.alias) for field in Settings.model_fields.values()), *env_file.SECRETS}
    return sorted(name for name in os.environ if name.startswith("GITWARD_") and name not in known)


class TokenOrigin(StrEnum):
    """Where the token was found; the log names it."""

    ENVIRONMENT = "environment"
    DOTENV = ".env"
    FILE = "GITHUB_TOKEN_FILE"


class TokenUnreadable(GitwardError):
    """There is something where a token should be, but no token. The text says what to mend and quotes nothing."""


class TokenReader:
    """Finds GITHUB_TOKEN. Exported: sealed when this reader is made. In `.env` or a file: read at every call."""

    def __init__(self, token_file: Path | None) -> None:
        exported = os.environ.pop("GITHUB_TOKEN", "").strip()  # no child of this process shall inherit it
        self._exported = Secret(exported) if exported else None
        self._exported_is_sound = _is_sound(exported)
        self._file = token_file

    @property
    def is_exported(self) -> bool:
        return self._exported is not None

    def read(self) -> tuple[Secret, TokenOrigin] | None:
        """The token and where it was found, or None. Blocks on a small file.

        :raises TokenUnreadable: the file cannot be read, or what stands there cannot be a token.
        """
        if self._exported is not None:
            if not self._exported_is_sound:
                raise TokenUnreadable(f"GITHUB_TOKEN holds {_UNSOUND}")
            return self._exported, TokenOrigin.ENVIRONMENT
        origin = TokenOrigin.DOTENV if self._file is None else TokenOrigin.FILE
        try:
            value = env_file.values().get("GITHUB_TOKEN", "") if self._file is None else self._file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise TokenUnreadable(f"{origin} cannot be read ({type(error).__name__}); fix it.") from None
        except env_file.NotTrusted as error:
            raise TokenUnreadable(f"{origin} {error}.") from None
        value = value.strip()
        if not value:
            return None
        if not _is_sound(value):
            raise TokenUnreadable(f"{origin} holds {_UNSOUND}")
        return Secret(value), origin


_UNSOUND = "characters that no token has, such as a space or a line break; set it to the token alone."


def _is_sound(value: str) -> bool:
    """Whether it can stand in a header. It need not look like a token of today."""
    return value.isascii() and value.isprintable() and " " not in value


class SecretUnreadable(GitwardError):
    """Where a secret should be, there is none that can be used. The text quotes nothing."""


def is_exported(variable: str) -> bool:
    return bool(os.environ.get(variable, "").strip())


def is_set(variable: str) -> bool:
    """Whether it is exported or stands in `.env`, whatever it holds. Blocks on a small file."""
    if is_exported(variable):
        return True
    try:
        return bool(env_file.values().get(variable, "").strip())
    except (OSError, UnicodeDecodeError, env_file.NotTrusted):
        return False


class SecretReader:
    """Reads secrets that settings only name: a variable, sealed when this reader is made, or read from `.env` at every
    call like a file (`file:/path`)."""

    def __init__(self, variables: Iterable[str]) -> None:
        # No child shall inherit them. Two entries may name one variable, which can be taken out once.
        exported = {name: os.environ.pop(name, "").strip() for name in frozenset(variables)}
        self._exported = {name: _seal(value) for name, value in exported.items() if value}

    def read(self, source: str) -> Secret:
        """:raises SecretUnreadable: the text goes on after the secret's name."""
        secret = self._exported[source] if source in self._exported else _seal(_named_value(source).strip())
        if secret is None:
            raise SecretUnreadable(f"is not set, has less than {SHORTEST} characters, or some that no header may have")
        return secret


def _seal(value: str) -> Secret | None:
    """None for what could not be sent, or not be masked."""
    return Secret(value) if len(value) >= SHORTEST and _is_sound(value) else None


def _named_value(source: str) -> str:
    try:
        if source.startswith("file:"):
            return Path(source.removeprefix("file:")).read_text()
        return env_file.values().get(source, "")
    except (OSError, UnicodeDecodeError) as error:
        raise SecretUnreadable(f"cannot be read ({type(error).__name__})") from None
    except env_file.NotTrusted as error:
        raise SecretUnreadable(f"cannot be read: {env_file.NAME} {error}") from None


def exported_token() -> str | None:
    """GITHUB_TOKEN as it is exported, unsealed: for the demo alone, which plays GitHub and must know it."""
    return os.environ.get("GITHUB_TOKEN", "").strip() or None


def clean_environment(**extra: str) -> dict[str, str]:
    """What a child process of ours may inherit: the search path and the locale, never a credential."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ", "HOME") if name in os.environ}
    return {**kept, **extra}


_OF_INSTALLERS = re.compile(
    r"(?i:https?_proxy|no_proxy|all_proxy)|(?:PIP|NPM_CONFIG|npm_config)_\w+|TMPDIR|XDG_CACHE_HOME"
)
_ROOTS = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
_SYSTEM_ROOTS = Path("/etc/ssl/certs/ca-certificates.crt")


def installers_environment() -> dict[str, str]:
    """What pip and npm may inherit: how they reach their registries, never a key of ours."""
    kept = {name: value for name, value in os.environ.items() if name in _ROOTS or _OF_INSTALLERS.fullmatch(name)}
    if _SYSTEM_ROOTS.exists():  # Node.js has a list of its own; a company's proxy is in the system's
        kept.setdefault("NODE_EXTRA_CA_CERTS", str(_SYSTEM_ROOTS))
    return clean_environment(**kept, NODE_DISABLE_COMPILE_CACHE="1")  # else they leave one in the temporary folder
