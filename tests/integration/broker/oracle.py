"""What is beyond a grant, by reading what upstream RECEIVED. Shares no code with the policy."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from graphql import parse
from graphql.language import ArgumentNode, FieldNode, OperationDefinitionNode, Visitor

from graphql import visit  # isort: skip

from .conftest import BRANCH, TOKEN
from .reaches import Reach, beyond_narrowed, beyond_own_mutation, beyond_own_rest, strangers

OWN, LISTED = "octo/demo", "octo/library"
MODEL_HOST = "model.test"
MODEL_PATHS = ("/v1/messages", "/v1/models/*")
MOST_SECONDS = 0.25  # of the broker's CPU for one request


@dataclass(frozen=True, kw_only=True)
class Received:
    """What came out at the other end."""

    method: str
    path: str  # encoded, without the query
    query: str
    headers: dict[str, str]
    body: bytes


_READ = re.compile(r"/(octo/demo|octo/library)\.git/(info/refs|git-upload-pack)")
_WRITE = re.compile(r"/octo/demo\.git/(info/refs|git-receive-pack)")
_LFS = re.compile(r"/(octo/demo|octo/library)\.git/info/lfs/(objects/batch|locks/verify|locks)")
_REST_OWN = re.compile(r"/api/v3/repos/octo/demo(/.*)?")
_REST_FREE = {"/api/v3/", "/api/v3/user", "/api/v3/rate_limit"}
_REST_WRITES = re.compile(
    r"POST /(pulls|issues|pulls/\d+/requested_reviewers|issues/\d+/(comments|labels|assignees))"
    r"|PATCH /(pulls|issues)/\d+"
)
_A_PULL = re.compile(r"/api/v3/repos/octo/demo/pulls/\d+")
_NEVER = re.compile(
    r"/(keys|hooks|secrets|variables|runners|environments|collaborators|invitations|protection|rulesets|merge|merges|"
    r"dispatches|rerun|logs|zip|approve|reviews/.+|deployments|forks|transfer|pages|installation)(/|$)"
)
_FORM = r"(\*/\*|application/(\*|json|vnd\.github(\.(raw|diff|patch|sha|text|text-match|object))?(\+json)?))"
_ACCEPTED = re.compile(rf"{_FORM}(, {_FORM})*")
_MODEL = re.compile(r"/v1/messages|/v1/models(/(?!\.+(/|$))[\w.~!$&'()*+,=:@-]+)+", re.ASCII)
_MUTATIONS = re.compile(
    r"create(Issue|PullRequest)|update(Issue|PullRequest)|addComment|markPullRequestReadyForReview"
    r"|convertPullRequestToDraft"
)


def is_a_question(one: Received, asked: str) -> bool:
    """Whether it is one of the broker's own, beside a request that begins with `asked`: a look at a pull request, or at
    what ids and logins are."""
    if one.path == "/api/graphql":
        return b"nodes(ids" in one.body or b"l0:user(login:$l0){__typename}" in one.body
    return one.method == "GET" and not asked.startswith("GET ") and bool(_A_PULL.fullmatch(one.path))


def beyond(
    one: Received, branch: str = BRANCH, *, reach: Reach = Reach.REPOSITORY, opened: frozenset[int] = frozenset()
) -> str | None:
    """Why a request that upstream received is not within the grant of `branch`; None when it is.

    :param opened: the numbers of issues that upstream gave to the sandbox before.
    """
    narrowed = beyond_narrowed(one.method, unquote(one.path), one.body) if reach is Reach.NARROWED else None
    return narrowed or _beyond_any(one, branch, reach, opened)


def _beyond_any(one: Received, branch: str, reach: Reach, opened: frozenset[int]) -> str | None:
    if one.headers.get("host", "").startswith(MODEL_HOST):
        return None if _MODEL.fullmatch(one.path) else f"{MODEL_HOST} at {one.path}"
    if one.headers.get("authorization", "").split(" ")[0] not in {"Bearer", "Basic"} and one.path != "/storage":
        return "no credential of the broker"
    path = unquote(one.path)
    if path.startswith("/api/") and not _ACCEPTED.fullmatch(one.headers.get("accept", "")):
        return f"the form {one.headers.get('accept')}"
    if path == "/api/graphql":
        return _beyond_graphql(one.body, branch, reach, opened)
    if path.startswith("/api/v3"):
        return _beyond_rest(one, path, branch, reach, opened)
    return _beyond_git(one, path, branch)


def _beyond_git(one: Received, path: str, branch: str) -> str | None:
    if path == "/storage":
        return "the token at the storage" if TOKEN in str(one.headers) else None
    if found := _LFS.fullmatch(path):
        upload = b"batch" in path.encode() and json.loads(one.body)["operation"] != "download"
        return "an upload to a listed repository" if upload and found[1] != OWN else None
    wants_write = path.endswith("/git-receive-pack") or one.query == "service=git-receive-pack"
    if not (_WRITE if wants_write else _READ).fullmatch(path):
        return f"git at {path}"
    if path.endswith("/git-receive-pack"):
        return beyond_push(one.body, branch)
    return None


# git's parse_feature_value (connect.c): the word alone, or with a value, at the list's beginning or behind white space.
_PUSH_OPTIONS = re.compile(rb"(?<=[\0 \t\n\r])push-options(?=[\0 \t\n\r=]|\Z)")


def beyond_push(body: bytes, branch: str) -> str | None:
    """As git itself reads it: lines up to a flush; with push options, lines up to another."""
    try:
        lines, rest = _section(body)
        options = _section(rest)[0] if lines and _PUSH_OPTIONS.search(lines[0]) else []
    except ValueError:
        return "a push that is no pkt-lines"
    commands = [line.partition(b"\0")[0].rstrip(b"\n") for line in lines if not line.startswith(b"shallow ")]
    wanted = re.compile(
        rb"([0-9a-f]{40}|[0-9a-f]{64}) (?!0+ )([0-9a-f]{40}|[0-9a-f]{64}) refs/heads/" + branch.encode()
    )
    wrong = [command for command in commands if not wanted.fullmatch(command)]
    if wrong or len(commands) > 1:
        return f"a push to {(wrong or commands)[0].rpartition(b' ')[2].decode(errors='replace')}"
    return f"the options {options}" if any(option.removesuffix(b"\n") != b"ci.skip" for option in options) else None


def _section(body: bytes) -> tuple[list[bytes], bytes]:
    """The lines before a flush, and what is behind it. Raises ValueError."""
    lines = []
    while (length := int(body[:4], 16)) != 0:
        if length < 4 or len(body) < length:
            raise ValueError("no pkt-line")
        lines.append(body[4:length])
        body = body[length:]
    return lines, body[4:]


def _beyond_rest(one: Received, path: str, branch: str, reach: Reach, opened: frozenset[int]) -> str | None:
    if path in _REST_FREE and one.method == "GET":
        return None
    found = _REST_OWN.fullmatch(path)
    if found is None or "//" in path or ".." in path.split("/") or _NEVER.search(found[1] or ""):
        return f"REST {path}"
    return None if one.method == "GET" else _beyond_write(one, path, found[1] or "", branch, reach, opened)


def _beyond_write(  # noqa: PLR0917 - what stands in a request and in a grant
    one: Received, path: str, below: str, branch: str, reach: Reach, opened: frozenset[int]
) -> str | None:
    if not _REST_WRITES.fullmatch(f"{one.method} {below}"):
        return f"REST {one.method} {path}"
    body = json.loads(one.body)
    if one.method == "POST" and below == "/pulls" and body["head"].removeprefix("octo:") != branch:
        return f"a pull request of {body['head']}"
    if reach is Reach.OWN and (why := beyond_own_rest(one.method, below, body, opened)) is not None:
        return why
    if stranger := next(strangers(body), None):
        return f"{stranger}, who is not a person"
    return "a change of state" if "state" in body else None


_NAMES = {"owner": "octo", "name": "demo", "login": "octo"}  # as GitHub spells them


class _Names(Visitor):
    """Everything in a document that a hostile one would need."""

    def __init__(self, variables: dict[str, Any], branch: str) -> None:
        super().__init__()
        self._branch = branch
        self._field = ""
        self.fields: set[str] = set()
        self.found: list[str] = []
        self.mutations: list[tuple[str, dict[str, Any]]] = []  # fields with an input
        self._variables = variables

    def enter_field(self, node: FieldNode, *_: object) -> None:
        self.fields.add(node.name.value)
        self._field = node.name.value
        if node.name.value in {"repository", "organization"}:
            given = {each.name.value: _plain(each.value, self._variables) for each in node.arguments or ()}
            wrong = {name: value for name, value in given.items() if value != _NAMES.get(name, value)}
            self.found += [f"{name}={value}" for name, value in wrong.items()]

    def enter_argument(self, node: ArgumentNode, *_: object) -> None:
        value = _plain(node.value, self._variables)
        if node.name.value == "input" and isinstance(value, dict):
            self.mutations.append((self._field, value))
        if node.name.value == "query" and "repo:" in str(value).lower() and not _finds_only_ours(str(value)):
            self.found.append(f"a search for {value!r}")
        head = value.get("headRefName", self._branch) if isinstance(value, dict) else self._branch
        if head.removeprefix("octo:") != self._branch:
            self.found.append(f"a pull request of {head}")
        names = {k: v for k, v in value.items() if k not in {"title", "body"}} if isinstance(value, dict) else value
        if "other" in json.dumps(names) or "evil" in json.dumps(names):
            self.found.append(f"the value {value}")


def _finds_only_ours(search: str) -> bool:
    """As GitHub may read it: a repo: with anything else at its name is none, and leaves the search without one."""
    words = search.split(" ")
    return search.isprintable() and sum(word == f"repo:{OWN}" for word in words) == search.lower().count("repo:") == 1


_SECRET_FIELDS = {"repositories", "email", "collaborators", "forks", "deployKeys", "object", "secrets", "publicKeys"}


def _beyond_graphql(body: bytes, branch: str, reach: Reach, opened: frozenset[int]) -> str | None:
    request = json.loads(body)
    document = parse(request["query"])
    names = _Names(request.get("variables") or {}, branch)
    visit(document, names)
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if len(operations) != 1:
        return "several operations"
    if operations[0].operation.value == "mutation":
        roots = {node.name.value for node in operations[0].selection_set.selections if isinstance(node, FieldNode)}
        if any(not _MUTATIONS.fullmatch(name) for name in roots):
            return f"the mutations {roots}"
        if reach is Reach.OWN and names.mutations:
            wrong = (beyond_own_mutation(name, given, opened) for name, given in names.mutations)
            if why := next((each for each in wrong if each is not None), None):
                return why
    if names.fields & _SECRET_FIELDS:
        return f"the fields {names.fields & _SECRET_FIELDS}"
    return names.found[0] if names.found else None


def _plain(node: Any, variables: dict[str, Any]) -> Any:
    if node.kind == "variable":
        return variables.get(node.name.value)
    if node.kind == "list_value":
        return [_plain(value, variables) for value in node.values]
    if node.kind == "object_value":
        return {each.name.value: _plain(each.value, variables) for each in node.fields}
    return getattr(node, "value", None)
