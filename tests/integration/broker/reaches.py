"""What is beyond each reach of a grant, by what upstream RECEIVED: GITWARD_WRITES, and a grant narrowed to one push.

Shares no code with the policy. `oracle` judges what holds for all of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .conftest import BRANCH


class Reach(StrEnum):
    REPOSITORY = "repository"  # GITWARD_WRITES=repository
    OWN = "own"  # GITWARD_WRITES=own
    NARROWED = "narrowed"  # to one push, at the end of a run


OLD, NEW, LFS_OID = "1" * 40, "2" * 40, "a" * 64  # of the push that a grant is narrowed to
OWN_ISSUE, OPENED = 5, 9  # an issue that an earlier run opened; the number that upstream gives to a new one
PEOPLE = frozenset({"dev", "hubot"})


@dataclass(frozen=True, kw_only=True)
class Pull:
    """A pull request that upstream has."""

    state: str = "open"
    head: str = "feature"
    source: str = "octo/demo"


PULLS: Mapping[int, Pull] = {
    7: Pull(head=BRANCH),  # the session's
    1: Pull(),
    2: Pull(head=BRANCH, source="evil/demo"),
    3: Pull(head=BRANCH, state="closed"),
    4: Pull(head=f"{BRANCH}x"),
}
OWN_PULLS = frozenset({7})


def pull_by_rest(number: int) -> dict[str, Any]:
    pull = PULLS.get(number)
    if pull is None:
        return {}
    return {"number": number, "state": pull.state, "head": {"ref": pull.head, "repo": {"full_name": pull.source}}}


def node_of(node_id: str) -> dict[str, Any] | None:
    """Ids of this upstream say what they are: "Issue:octo/demo:5"."""
    kind, _, rest = node_id.partition(":")
    repository, _, number = rest.partition(":")
    if not repository:
        return None
    node: dict[str, Any] = {
        "__typename": kind,
        "nameWithOwner": repository,
        "repository": {"nameWithOwner": repository},
    }
    if number.isdecimal():
        pull = PULLS.get(int(number), Pull())
        head = {"headRefName": pull.head, "headRepository": {"nameWithOwner": pull.source}}
        node |= {"number": int(number), "state": pull.state.upper(), **head}
    return node


# A word that closes what it stands before, as GitHub documents them, with whatever GitHub overlooks in between.
_CLOSES = re.compile(
    r"(?i)\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?)\b[\s:]*(?:https?://[^/\s]+/)?([\w.-]+/[\w.-]+)(?:#|/)"
)


def closes_others(text: Any) -> bool:
    found = _CLOSES.findall(text) if isinstance(text, str) else []
    return any(name.lower() != "octo/demo" for name in found)


_TEXTS = {"title", "body"}
_NEW_PULL = _TEXTS | {"head", "base", "draft", "maintainer_can_modify"}
_NUMBERED = re.compile(r"/(?P<kind>pulls|issues)/(?P<number>\d+)(?P<rest>/.*)?")


def beyond_own_rest(method: str, path: str, body: Mapping[str, Any], opened: frozenset[int]) -> str | None:
    """Of a write of REST, with GITWARD_WRITES=own."""
    given = {name for name, value in body.items() if value not in (None, [])}
    if any(closes_others(value) for value in body.values()):
        return f"the text {body}"
    found = _NUMBERED.fullmatch(path)
    if found is None:
        wrong = given - (_NEW_PULL if path == "/pulls" else _TEXTS)
        if path == "/pulls" and (body.get("base") != "main" or body.get("draft") is not True):
            return f"a pull request of {body}"
        return f"{method} {path} with {wrong}" if wrong else None
    issues = frozenset() if found["kind"] == "pulls" else opened | {OWN_ISSUE}
    if int(found["number"]) not in OWN_PULLS | issues:
        return f"{method} {path}, which is not the session's"
    if given - _TEXTS or (found["rest"] or "") not in {"", "/comments"}:
        return f"{method} {path} with {given}"
    return None


def strangers(body: Mapping[str, Any]) -> Iterator[str]:
    """Logins in a body that are not people's."""
    for name in ("assignees", "reviewers"):
        yield from set(body.get(name) or ()) - PEOPLE


_OWN_MUTATIONS = {
    "createPullRequest": "",
    "createIssue": "",
    "updatePullRequest": "pullRequestId",
    "convertPullRequestToDraft": "pullRequestId",
    "updateIssue": "id",
    "addComment": "subjectId",
}
_OWN_MEMBERS = _TEXTS | {"clientMutationId", "repositoryId", "pullRequestId", "id", "subjectId"}


def beyond_own_mutation(name: str, given: Mapping[str, Any], opened: frozenset[int]) -> str | None:
    """Of one field of a mutation, with GITWARD_WRITES=own."""
    if name not in _OWN_MUTATIONS:
        return f"the mutation {name}"
    if any(closes_others(value) for value in given.values()):
        return f"the text {given}"
    members = {member for member, value in given.items() if value not in (None, [])}
    if name == "createPullRequest":
        members -= {"headRefName", "headRepositoryId", "baseRefName", "draft", "maintainerCanModify"}
        if given.get("baseRefName") != "main" or given.get("draft") is not True:
            return f"a pull request of {given}"
    if members - _OWN_MEMBERS:
        return f"{name} with {members - _OWN_MEMBERS}"
    written = given.get(_OWN_MUTATIONS[name])
    if not _OWN_MUTATIONS[name]:
        return None
    own = {f"PullRequest:octo/demo:{number}" for number in OWN_PULLS}
    own |= {f"Issue:octo/demo:{number}" for number in opened | {OWN_ISSUE}}
    return None if written in own else f"{name} of {written}"


_LISTS = re.compile(
    r"/octo/demo\.git/(info/refs|git-upload-pack|git-receive-pack|info/lfs/(objects/batch|locks/verify))"
)
# In a shallow clone git also says where that ends, even when it has nothing to push.
_SHALLOW = rb"(?:[0-9a-f]{4}shallow (?:[0-9a-f]{40}|[0-9a-f]{64})\n?)*"
_UPDATE = rb"[0-9a-f]{4}%b[\0\n0].*" % f"{OLD} {NEW} refs/heads/{BRANCH}".encode()
_PUSH = re.compile(rb"%b(?:0000|%b)" % (_SHALLOW, _UPDATE), re.DOTALL)


def beyond_narrowed(method: str, path: str, body: bytes) -> str | None:
    """Of anything, when the grant is narrowed to one push."""
    if path == "/storage":
        return None
    if not _LISTS.fullmatch(path):
        return f"{method} {path} beside the push"
    if path.endswith("/git-upload-pack") and not body.startswith(b"0014command=ls-refs"):
        return f"a fetch: {body[:40]!r}"
    if path.endswith("/git-receive-pack"):
        return None if _PUSH.match(body) else f"the push {body[:100]!r}"
    if path.endswith("/objects/batch"):
        asked = json.loads(body)
        named = {each["oid"] for each in asked["objects"]}
        return None if asked["operation"] == "upload" and named <= {LFS_OID} else f"the LFS objects {asked}"
    return None
