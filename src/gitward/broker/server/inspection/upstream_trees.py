"""The repository's folders as git's objects: from a pushed pack, else from GitHub, with the token."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gitward.broker.server.forwarder import UpstreamFailed
from gitward.broker.wire.target import encode_path
from gitward.grants.inspection import FOLDER, MAX_NAMED, WORKFLOWS, BadPack, Entries, Entry

_MAX_KNOWN = 100  # folders; then the memory begins anew
_OID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_UNREADABLE = "GitHub's answer about the repository's folders could not be read"

LookUp = Callable[[str], Awaitable[bytes | None]]  # a path below repos/{owner}/{name}; None: nothing of that name


class UpstreamTrees:
    """One run's knowledge. Objects never change, so what was asked once is known."""

    def __init__(self, look_up: LookUp) -> None:
        self._look_up = look_up
        self._known: dict[str, Entries] = {}

    async def entries(self, oid: str) -> Entries:
        """Of a folder, or of a commit's top folder: all when they are few, else those that matter.

        Raises BadPack when GitHub has no such object, and UpstreamFailed.
        """
        if oid not in self._known:
            answer = await self._look_up(f"/git/trees/{oid}")
            if answer is None:
                raise BadPack("a push must contain everything that GitHub does not have yet; its pack lacks a folder")
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[oid] = _entries(answer)
        return self._known[oid]

    async def head(self, branch: str) -> str | None:
        """Where a branch stands now. Raises UpstreamFailed."""
        ref = f"heads/{branch}"
        answer = await self._look_up("/git/ref" + encode_path(ref.split("/")))
        if answer is None:
            return None
        told = _object(answer)
        return _oid(told.get("object")) if told.get("ref") == f"refs/{ref}" else None


def _entries(answer: bytes) -> Entries:
    told = _object(answer)
    listed = told.get("tree")
    if not isinstance(listed, list):
        raise UpstreamFailed(_UNREADABLE)
    if told.get("truncated"):  # whatever it shows: what matters may be what it leaves out
        raise BadPack("the top folders of the pushed commit are too large to inspect")
    found = dict(_entry(each) for each in listed)
    if any("/" in name for name in found):
        raise BadPack("the pushed commit has malformed folders")
    return found if len(found) <= MAX_NAMED else {name: found[name] for name in (FOLDER, WORKFLOWS) if name in found}


def _entry(each: Any) -> tuple[str, Entry]:
    if not isinstance(each, dict) or not isinstance(each.get("path"), str) or not isinstance(each.get("mode"), str):
        raise UpstreamFailed(_UNREADABLE)
    return each["path"], Entry(mode=each["mode"].lstrip("0"), oid=_oid(each))


def _oid(value: Any) -> str:
    oid = value.get("sha") if isinstance(value, dict) else None
    if not isinstance(oid, str) or not _OID.fullmatch(oid):
        raise UpstreamFailed(_UNREADABLE)
    return oid


def _object(answer: bytes) -> Mapping[str, Any]:
    try:
        told = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise UpstreamFailed(_UNREADABLE) from error
    if not isinstance(told, dict):
        raise UpstreamFailed(_UNREADABLE)
    return told
