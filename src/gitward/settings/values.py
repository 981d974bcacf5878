"""The forms of settings: what an operator may write, checked once."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, PlainValidator, WithJsonSchema

from gitward.web_proxy import WebProxy, parse_proxy

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
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not _URL.fullmatch(value):
        raise ValueError("must be an address such as https://github.com")
    if not _has_a_port(parts):
        raise ValueError("must have a port between 1 and 65535, or none")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must be an address without user name, password, query or fragment")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
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
