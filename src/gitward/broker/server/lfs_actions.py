"""Replaces the signed addresses in a batch answer with addresses of the broker.

The signed address and its headers stay here; the sandbox gets a random address on GitHub's host, valid once.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from gitward.broker.policy.lfs import LOCAL

MAX_ACTIONS = 10_000  # of one run; the oldest are dropped
_LIFETIME = 3600.0  # seconds, when upstream says no less
METHODS: Mapping[str, str] = {"download": "GET", "upload": "PUT", "verify": "POST"}
_NOT_OURS = frozenset({"connection", "content-length", "expect", "host", "te", "transfer-encoding", "upgrade"})


class BadAnswer(ValueError):
    """Upstream's batch answer is not what the specification says, or names an address we do not go to."""


@dataclass(frozen=True, kw_only=True)
class Action:
    """One transfer: where it really goes."""

    repository: str  # the grant's spelling
    name: str  # "download", "upload" or "verify"
    href: str = field(repr=False)  # its query may be a credential
    headers: Mapping[str, str] = field(repr=False)  # names in lower case; they may be credentials
    expires_at: float  # on the clock of `time.monotonic`


class Actions:
    """One run's addresses: bounded, expiring, each good once."""

    def __init__(self, *, server_url: str, upstream_url: str) -> None:
        self._server_url = server_url.rstrip("/")
        self._upstream = _origin(upstream_url)
        self._open: OrderedDict[str, Action] = OrderedDict()

    def take(self, key: str, repository: str, method: str) -> Action | None:
        """The action behind an address, which is spent by it; None when it is unknown, spent or expired."""
        action = self._open.get(key)
        if action is None or action.repository.casefold() != repository.casefold() or METHODS[action.name] != method:
            return None
        del self._open[key]
        return action if time.monotonic() < action.expires_at else None

    def forget(self) -> None:
        self._open.clear()

    def rewritten(self, answer: bytes, *, repository: str, authorization: str) -> bytes:
        """The batch answer for the sandbox, with `authorization` (its own) for our addresses. Raises BadAnswer."""
        try:
            objects = json.loads(answer)["objects"]
            entries = [self._entry(entry, repository, authorization) for entry in objects]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise BadAnswer("the answer to an LFS batch could not be read") from error
        return json.dumps({"transfer": "basic", "objects": entries, "hash_algo": "sha256"}).encode()

    def _entry(self, entry: dict[str, Any], repository: str, authorization: str) -> dict[str, Any]:
        kept: dict[str, Any] = {"oid": str(entry["oid"]), "size": int(entry["size"])}
        if error := entry.get("error"):
            return kept | {"error": {"code": int(error["code"]), "message": str(error["message"])}}
        if actions := entry.get("actions"):
            kept["authenticated"] = True
            kept["actions"] = {
                name: self._local(name, action, repository, authorization)
                for name, action in actions.items()
                if name in METHODS
            }
        return kept

    def _local(self, name: str, action: dict[str, Any], repository: str, authorization: str) -> dict[str, Any]:
        href = action["href"]
        if not isinstance(href, str) or not self._is_storage(href):
            raise BadAnswer("an LFS object is stored at an address that is not https")
        lifetime = min(_LIFETIME, float(action.get("expires_in") or _LIFETIME))
        headers = {str(key).lower(): str(value) for key, value in (action.get("header") or {}).items()}
        key = secrets.token_urlsafe(24)
        self._open[key] = Action(
            repository=repository,
            name=name,
            href=href,
            headers={key: value for key, value in headers.items() if key not in _NOT_OURS},
            expires_at=time.monotonic() + lifetime,
        )
        while len(self._open) > MAX_ACTIONS:
            self._open.popitem(last=False)
        return {
            "href": f"{self._server_url}/{repository}.git/info/lfs/{LOCAL}/{key}",
            "header": {"Authorization": authorization},
            "expires_in": int(lifetime),
        }

    def _is_storage(self, href: str) -> bool:
        parts = urlsplit(href)
        if parts.username or parts.password or not parts.hostname:
            return False
        return parts.scheme == "https" or _origin(href) == self._upstream


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
