"""GitHub as our own git reaches it: the address, and the run credential."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True)
class Remote:
    """Where git of ours fetches from and pushes to."""

    url: str
    credential: str  # the run credential, which is worth nothing elsewhere


def authorization(remote: Remote) -> str:
    """The run credential at once, without a first question that is answered with 401: lines of a git config."""
    basic = base64.b64encode(f"x-access-token:{remote.credential}".encode()).decode()
    parts = urlsplit(remote.url)
    return f'[http "{parts.scheme}://{parts.netloc}/"]\n\textraHeader = Authorization: Basic {basic}\n'
