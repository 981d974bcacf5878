"""The server's own targets: GITWARD_WEBHOOKS_FILE, one on each line, with its secret."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from gitward.errors import SettingsError
from gitward.sessions.webhooks import Callback, Format

_MOST_BYTES = 64 * 1024
_MOST_TARGETS = 20
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]+\]")
_SECRET_FORM = "must be whsec_ and 24 to 64 bytes in base64, as `openssl rand -base64 32` prints them"  # noqa: S105  # no secret, its form


def read_targets(file: Path | None) -> dict[str, Callback]:
    """By a name that tells nothing of the address: `server-` and a digest.

    :raises SettingsError: the file cannot be read, or a line is wrong; which, and never what it holds.
    """
    if file is None:
        return {}
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise SettingsError([f"GITWARD_WEBHOOKS_FILE: has more than {_MOST_BYTES} bytes"])
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"GITWARD_WEBHOOKS_FILE: cannot be read ({type(error).__name__})"]) from None
    targets: dict[str, Callback] = {}
    for number, line in enumerate(lines, 1):
        if words := line.partition("#")[0].split() if not line.lstrip().startswith("#") else []:
            try:
                target = _target(words)
            except ValueError as error:
                raise SettingsError([f"GITWARD_WEBHOOKS_FILE, line {number}: {error}"]) from None
            targets[f"server-{hashlib.sha256(target.url.encode()).hexdigest()[:12]}"] = target
    if len(targets) > _MOST_TARGETS:
        raise SettingsError([f"GITWARD_WEBHOOKS_FILE: at most {_MOST_TARGETS} targets"])
    return targets


def _target(words: list[str]) -> Callback:
    if len(words) > 3:
        raise ValueError("must be an address, a format (standard, slack or ntfy) and a secret")
    format_ = words[1] if len(words) > 1 else Format.STANDARD
    if format_ not in set(Format):
        raise ValueError("the second word must be standard, slack or ntfy")
    secret = check_secret(words[2]) if len(words) > 2 else None
    if format_ == Format.STANDARD and secret is None:
        raise ValueError(f"a standard target needs a secret, which {_SECRET_FORM}")
    return Callback(url=check_url(words[0]), secret=secret, format=Format(format_))


def check_url(url: str) -> str:
    """:raises ValueError: a sentence that does not repeat the address, whose path may be a secret."""
    parts = split(url)
    if parts.scheme != "https" or not _HOST.fullmatch((parts.hostname or "").lower()):
        raise ValueError("must be an address that begins with https:// and names a host")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("must have neither a login nor a fragment")
    if len(url) > 2048 or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("must have at most 2,048 printable ASCII characters")
    return url


def split(url: str) -> SplitResult:
    """:raises ValueError: it is no address."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("must be an address that begins with https://") from None
    return parts


def check_secret(secret: str) -> str:
    """:raises ValueError: a sentence that does not repeat it."""
    try:
        raw = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not secret.startswith("whsec_") or not 24 <= len(raw) <= 64:
        raise ValueError(_SECRET_FORM)
    return secret


def host_of(url: str) -> str:
    """What a log may show of an address."""
    parts = split(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else str(parts.hostname)
    return f"{host}:{parts.port}" if parts.port not in (None, 443) else host
