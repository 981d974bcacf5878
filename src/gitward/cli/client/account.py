"""Which service the client talks to, and by which JWT: of the environment, of `gitward login`, or of this machine."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gitward.cli.client.errors import refused
from gitward.settings.environment import variables

URL_VARIABLE, JWT_VARIABLE = "GITWARD_URL", "GITWARD_JWT"
LOCAL_URL = "http://127.0.0.1:8000"


@dataclass(frozen=True, kw_only=True)
class Account:
    """One service and what opens it."""

    url: str  # without a slash at its end
    jwt: str | None  # None: nobody has signed in
    source: str  # where the JWT is from, as a person reads it


def login_file(environment: Mapping[str, str] | None = None) -> Path:
    """`login.json` in the user's folder of configuration."""
    given = variables() if environment is None else environment
    base = given.get("XDG_CONFIG_HOME") or given.get("APPDATA")
    return (Path(base) if base else Path.home() / ".config") / "gitward" / "login.json"


def current(file: Path | None = None) -> Account:
    """The environment comes first, then `gitward login`, then the service of this machine.

    :raises ClientError: an address or the stored login cannot be read.
    """
    environment = variables()
    url, jwt = environment.get(URL_VARIABLE, "").strip(), environment.get(JWT_VARIABLE, "").strip()
    stored = _stored(file or login_file())
    if jwt:
        return Account(url=checked_url(url or stored.get("url") or LOCAL_URL), jwt=jwt, source=JWT_VARIABLE)
    if stored and (not url or checked_url(url) == stored["url"]):
        return Account(url=stored["url"], jwt=stored["jwt"], source="gitward login")
    # A JWT goes only to the service that it was stored for.
    return Account(url=checked_url(url or LOCAL_URL), jwt=None, source="nothing")


def store(url: str, jwt: str, file: Path | None = None) -> Path:
    """Writes the login (0600), aside and then in its place."""
    path = file or login_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        aside.unlink()
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as written:
        json.dump({"url": url, "jwt": jwt}, written)
    os.replace(aside, path)
    return path


def forget(file: Path | None = None) -> bool:
    """Removes the login; whether there was one."""
    try:
        (file or login_file()).unlink()
    except FileNotFoundError:
        return False
    return True


def checked_url(url: str) -> str:
    """:raises ClientError: a JWT must not go there."""
    parts = urlsplit(url if "//" in url else f"https://{url}")
    try:
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if host is None or parts.scheme not in ("http", "https") or parts.username or parts.query or parts.fragment:
        raise refused(f"{url!r} is not the address of a service; write https://gitward.example.com")
    if parts.scheme == "http" and not is_local(url):
        raise refused(f"{url}: a JWT goes by https only, except to this machine; write https://{host}")
    return parts.geturl().rstrip("/")


def is_local(url: str) -> bool:
    """Whether an address leads to this machine by its name alone."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or re.fullmatch(r"127\.\d+\.\d+\.\d+", host) is not None


def _stored(file: Path) -> dict[str, str]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise refused(f"{file} cannot be read ({type(error).__name__}); run `gitward login` again") from None
    if not isinstance(found, dict) or not all(isinstance(found.get(name), str) for name in ("url", "jwt")):
        raise refused(f"{file} holds no login; run `gitward login` again")
    return {"url": found["url"], "jwt": found["jwt"]}
