"""The rules for Git LFS: the allowed calls, for each repository, and what a batch may request.

Source: the Git LFS API specification (batch, basic transfer, locking).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gitward.broker.policy import git
from gitward.broker.policy.verdict import Verdict, allow, deny
from gitward.broker.wire.json_body import Malformed, read_object
from gitward.broker.wire.target import Query
from gitward.errors import PolicyDenied
from gitward.grants.grant import Grant

PUBLIC = "lfs.public"
MEDIA_TYPE = "application/vnd.git-lfs+json"
LOCAL = "gitward"  # the segment below info/lfs under which the broker's own addresses stand
MAX_OBJECTS = 1000  # of one batch; git-lfs asks for 100

_OID = re.compile(r"[0-9a-f]{64}")
_LOCK_PARAMETERS = frozenset({"path", "id", "cursor", "limit", "refspec"})


class Call(StrEnum):
    """What is asked for, by the path below `info/lfs`."""

    BATCH = "objects/batch"
    VERIFY_LOCKS = "locks/verify"
    LOCKS = "locks"
    ACTION = "action"  # one of the broker's own addresses


_METHODS = {Call.BATCH: "POST", Call.VERIFY_LOCKS: "POST", Call.LOCKS: "GET"}


@dataclass(frozen=True, kw_only=True)
class LfsCall:
    """One request below `<owner>/<name>.git/info/lfs`."""

    repository: str  # "owner/name" as the sandbox wrote it
    call: Call
    key: str = ""  # of an action: the random part of its address


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A batch request, read strictly; `content` is what goes upstream."""

    operation: str  # "upload" or "download"
    content: bytes
    oids: frozenset[str]


def parse(method: str, segments: Sequence[str], query: Query) -> LfsCall | Verdict:
    """`segments` begin with owner and name; the next two are `info`, `lfs`."""
    owner, name, _, _, *rest = segments
    repository = f"{owner}/{name.removesuffix('.git')}"
    if len(rest) == 2 and rest[0] == LOCAL and method in {"GET", "PUT", "POST"} and not query:
        return LfsCall(repository=repository, call=Call.ACTION, key=rest[1])
    for call, wanted in _METHODS.items():
        if method == wanted and "/".join(rest) == call:
            if {name for name, _ in query} <= (_LOCK_PARAMETERS if call is Call.LOCKS else set()):
                return LfsCall(repository=repository, call=call)
            return deny("lfs.unlisted", f"{call} takes no such parameters in this session")
    if rest[:1] == ["locks"]:
        return deny("lfs.lock", "this session may not lock or unlock files")
    return deny("lfs.unlisted", "only Git LFS's batch and basic transfers are allowed in this session")


def check(call: LfsCall, grant: Grant) -> Verdict:
    """Whether the repository's LFS may be used at all; what a batch may do is `check_operation`'s to say."""
    if git.is_listed(call.repository, grant):
        return allow(f"lfs.{call.call.replace('/', '.')}")
    if git.may_be_public(call.repository, grant) and call.call in {Call.BATCH, Call.ACTION}:
        return allow(PUBLIC)
    return deny("lfs.repository", f"this session may only use the LFS objects of {_readable(grant)}")


def check_operation(call: LfsCall, batch: Batch, grant: Grant) -> Verdict:
    """Upload to the session's repository only."""
    if batch.operation == "upload" and not _same(call.repository, grant.repository):
        return deny("lfs.upload.repository", f"this session may only upload LFS objects to {grant.repository}")
    return allow(f"lfs.{batch.operation}")


def upstream_path(call: LfsCall, grant: Grant) -> str:
    """Where an allowed call goes, in the grant's own spelling."""
    return f"/{_spelled(call.repository, grant)}.git/info/lfs/{call.call}"


def hidden(repository: str, grant: Grant, status: int) -> PolicyDenied:
    """The refusal when GitHub does not give the repository's objects to anybody."""
    del status
    message = f"this session may only download LFS objects of {_readable(grant)} and public repositories; "
    return PolicyDenied(PUBLIC, f"{message}{repository} is not public")


def read_batch(body: bytes) -> Batch | Verdict:
    """The request as we understood it; nothing else is sent on."""
    try:
        asked = read_object(body)
        operation = asked["operation"]
        objects = [{"oid": entry["oid"], "size": entry["size"]} for entry in asked["objects"]]
        ref = asked.get("ref")
    except (Malformed, TypeError, KeyError):
        return deny("lfs.malformed", "an LFS batch must be one JSON object with operation and objects")
    if operation not in ("upload", "download") or not 0 < len(objects) <= MAX_OBJECTS:
        return deny("lfs.malformed", f"an LFS batch must upload or download at most {MAX_OBJECTS} objects")
    if asked.get("hash_algo", "sha256") != "sha256" or not all(map(_is_object, objects)):
        return deny("lfs.malformed", "an LFS object must have a SHA-256 and a size")
    onward: dict[str, Any] = {"operation": operation, "transfers": ["basic"], "objects": objects}
    if isinstance(ref, dict) and isinstance(ref.get("name"), str):
        onward["ref"] = {"name": ref["name"]}
    content = json.dumps({**onward, "hash_algo": "sha256"}).encode()
    return Batch(operation=operation, content=content, oids=frozenset(entry["oid"] for entry in objects))


def read_verification(body: bytes) -> bytes | Verdict:
    """A question for locks, as we understood it."""
    try:
        asked = read_object(body)
    except Malformed:
        return deny("lfs.malformed", "a question for locks must be one JSON object")
    onward: dict[str, Any] = {}
    if isinstance(ref := asked.get("ref"), dict) and isinstance(ref.get("name"), str):
        onward["ref"] = {"name": ref["name"]}
    if isinstance(asked.get("cursor"), str):
        onward["cursor"] = asked["cursor"]
    if type(asked.get("limit")) is int:
        onward["limit"] = asked["limit"]
    return json.dumps(onward).encode()


def _is_object(entry: dict[str, Any]) -> bool:
    oid, size = entry["oid"], entry["size"]
    return isinstance(oid, str) and bool(_OID.fullmatch(oid)) and type(size) is int and size >= 0


def _readable(grant: Grant) -> str:
    return ", ".join((grant.repository, *grant.readable))


def _spelled(repository: str, grant: Grant) -> str:
    return next((name for name in (grant.repository, *grant.readable) if _same(name, repository)), repository)


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()
