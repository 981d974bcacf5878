"""Requests as a hostile sandbox may make them, an upstream that notes what arrives, and an oracle that knows the grant.

The oracle shares no code with the policy: it reads what upstream RECEIVED, and says what is beyond the grant.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from aiohttp import web
from graphql import parse
from graphql.language import ArgumentNode, FieldNode, OperationDefinitionNode, Visitor

from graphql import visit  # isort: skip
from hypothesis import strategies as st

from .conftest import BRANCH, TOKEN
from .wire import API_HOST, GIT_HOST

OWN, LISTED = "octo/demo", "octo/library"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the sandbox sends."""

    host: str
    line: str  # "GET /user"
    headers: tuple[str, ...] = ()
    body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Received:
    """What came out at the other end."""

    method: str
    path: str  # encoded, without the query
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Upstream:
    """A server that says yes to everything."""

    url: str = ""
    received: list[Received] = field(default_factory=list)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        path, _, query = request.raw_path.partition("?")
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(method=request.method, path=path, query=query, headers=headers, body=body))
        return web.Response(body=self._content(path, body), content_type="application/json")

    def _content(self, path: str, body: bytes) -> bytes:
        if path.endswith("/graphql") and b"nodes(ids" in body:
            ids = json.loads(body)["variables"]["ids"]
            return json.dumps({"data": {"nodes": [_node(node_id) for node_id in ids]}}).encode()
        if path.endswith("/objects/batch"):
            actions = {"download": {"href": f"{self.url}/storage?signature=s3cret", "header": {}}}
            return json.dumps({"objects": [{"oid": "a" * 64, "size": 1, "actions": actions}]}).encode()
        return b"{}"


def _node(node_id: str) -> dict[str, Any] | None:
    """Ids of this upstream say what they are: "Issue:octo/demo"."""
    kind, _, repository = node_id.partition(":")
    if not repository:
        return None
    return {"__typename": kind, "nameWithOwner": repository, "repository": {"nameWithOwner": repository}}


@contextlib.asynccontextmanager
async def upstream() -> AsyncIterator[Upstream]:
    one = Upstream()
    runner = web.ServerRunner(web.Server(one.answer, access_log=None))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    one.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield one
    finally:
        await runner.cleanup()


# The oracle.

_READ = re.compile(r"/(octo/demo|octo/library)\.git/(info/refs|git-upload-pack)")
_WRITE = re.compile(r"/octo/demo\.git/(info/refs|git-receive-pack)")
_LFS = re.compile(r"/(octo/demo|octo/library)\.git/info/lfs/(objects/batch|locks/verify|locks)")
_REST_OWN = re.compile(r"/api/v3/repos/octo/demo(/.*)?")
_REST_FREE = {"/api/v3/", "/api/v3/user", "/api/v3/rate_limit"}
_REST_WRITES = re.compile(
    r"POST /(pulls|issues|pulls/\d+/requested_reviewers|issues/\d+/(comments|labels|assignees))"
    r"|PATCH /(pulls|issues)/\d+"
)
_NEVER = re.compile(
    r"/(keys|hooks|secrets|variables|runners|environments|collaborators|invitations|protection|rulesets|merge|merges|"
    r"dispatches|rerun|logs|zip|approve|reviews/.+|deployments|forks|transfer|pages|installation)(/|$)"
)
_MUTATIONS = re.compile(r"create(Issue|PullRequest)|update(Issue|PullRequest)|addComment|markPullRequestReadyForReview")


def beyond(one: Received, branch: str = BRANCH) -> str | None:
    """Why a request that upstream received is not within the grant of `branch`; None when it is."""
    if one.headers.get("authorization", "").split(" ")[0] not in {"Bearer", "Basic"} and one.path != "/storage":
        return "no credential of the broker"
    path = unquote(one.path)
    if path == "/api/graphql":
        return _beyond_graphql(one.body, branch)
    if path.startswith("/api/v3"):
        return _beyond_rest(one, path, branch)
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
        return _beyond_push(one.body, branch)
    return None


def _beyond_push(body: bytes, branch: str) -> str | None:
    commands = re.findall(rb"([0-9a-f]{40}) ([0-9a-f]{40}) (refs/[^\0\n]+|HEAD)", body)
    wrong = [name for _, new, name in commands if name != f"refs/heads/{branch}".encode() or set(new) == {ord("0")}]
    return f"a push to {wrong!r}" if wrong or len(commands) > 1 else None


def _beyond_rest(one: Received, path: str, branch: str) -> str | None:
    if path in _REST_FREE and one.method == "GET":
        return None
    found = _REST_OWN.fullmatch(path)
    if found is None or "//" in path or ".." in path.split("/") or _NEVER.search(found[1] or ""):
        return f"REST {path}"
    if one.method == "GET":
        return None
    if not _REST_WRITES.fullmatch(f"{one.method} {found[1]}"):
        return f"REST {one.method} {path}"
    body = json.loads(one.body)
    if one.method == "POST" and found[1] == "/pulls" and body["head"].removeprefix("octo:") != branch:
        return f"a pull request of {body['head']}"
    return "a change of state" if "state" in body else None


class _Names(Visitor):
    """Everything in a document that a hostile one would need."""

    def __init__(self, variables: dict[str, Any], branch: str) -> None:
        super().__init__()
        self._branch = branch
        self.fields: set[str] = set()
        self.found: list[str] = []
        self._variables = variables

    def enter_field(self, node: FieldNode, *_: object) -> None:
        self.fields.add(node.name.value)

    def enter_argument(self, node: ArgumentNode, *_: object) -> None:
        value = _plain(node.value, self._variables)
        if node.name.value in {"owner", "name"} and str(value).lower() not in {"octo", "demo", "pullrequest"}:
            self.found.append(f"{node.name.value}={value}")
        head = value.get("headRefName", self._branch) if isinstance(value, dict) else self._branch
        if head.removeprefix("octo:") != self._branch:
            self.found.append(f"a pull request of {head}")
        if "other" in json.dumps(value) or "evil" in json.dumps(value):
            self.found.append(f"the value {value}")


_SECRET_FIELDS = {"repositories", "email", "collaborators", "forks", "deployKeys", "object", "secrets", "publicKeys"}


def _beyond_graphql(body: bytes, branch: str) -> str | None:
    request = json.loads(body)
    if "nodes(ids" in request["query"]:
        return None  # the broker's own question
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


# The sandbox's requests: often good ones, with one thing wrong.

# Which parts of a request are made to be wrong; often none.
_spoiled = st.sampled_from(
    [frozenset()] * 8
    + [frozenset({part}) for part in ("repository", "path", "host", "headers", "method", "body", "tail")]
    + [frozenset({"repository", "path"}), frozenset({"method", "tail"}), frozenset({"host", "headers", "body"})]
)
_repository = {
    True: st.sampled_from(["Octo/DEMO", LISTED, "octo/other", "evil/demo", "octo/demo.git", "octo", "octo/dem%6f"]),
    False: st.just(OWN),
}
_trick = {
    True: st.sampled_from(
        [
            "{}/",
            "/{}",
            "{}/..",
            "x/../{}",
            "{}%2f..%2fother",
            "{}/%2e%2e/other",
            "{}.",
            "{}%00",
            "{};x",
            "{}?x=1",
            "{}#x",
        ]
    ),
    False: st.just("{}"),
}
_method = {True: st.sampled_from(["PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "POST"]), False: st.just("GET")}
_host = {True: st.sampled_from([GIT_HOST, API_HOST.upper(), "evil.example", f"{API_HOST}."]), False: st.just(API_HOST)}
_headers: dict[bool, st.SearchStrategy[tuple[str, ...]]] = {
    True: st.sampled_from(
        [
            ("X-HTTP-Method-Override: DELETE",),
            ("X-Forwarded-Host: evil.example", "X-Original-URL: /repos/octo/other"),
            ("Content-Length: 0", "Content-Length: 5"),
            ("Transfer-Encoding: chunked", "Content-Length: 5"),
            (f"Host: {GIT_HOST}",),
            ("Authorization: token evil",),
        ]
    ),
    False: st.just(()),
}
_number = st.integers(0, 30).map(str)
_tail = {
    True: st.one_of(
        st.sampled_from(
            ["keys", "hooks", "actions/secrets", "merges", "git/refs", "environments", "collaborators", "dispatches",
             "actions/runners/registration-token", "actions/variables", "branches/main/protection", "zipball/main",
             "compare/main...evil:demo:main", "pulls/1/merge", "pulls/1/update-branch", "pulls/1/reviews",
             "issues/1/lock", "actions/runs/1/rerun", "actions/runs/1/logs", "rulesets", "forks", "transfer"]
        ),
        st.text("abcdepulskyrf/.%-_0129", max_size=20),
    ),
    False: st.one_of(
        st.sampled_from(
            ["", "pulls", "issues", "commits/main", "contents/README.md", "branches", "actions/runs", "labels",
             "releases/latest", "git/ref/heads/main", "compare/main...x"]
        ),
        st.builds("{}/{}".format, st.sampled_from(["pulls", "issues", "check-runs", "actions/runs"]), _number),
        st.builds("pulls/{}/{}".format, _number, st.sampled_from(["files", "comments", "commits"])),
    ),
}  # fmt: skip
_write = st.sampled_from(["POST pulls", "POST issues", "PATCH pulls/1", "PATCH issues/2", "POST issues/1/comments"])
_json = st.dictionaries(
    st.sampled_from(["title", "body", "head", "base", "state", "labels", "draft", "head_repo", "sha", "force"]),
    st.sampled_from([BRANCH, f"octo:{BRANCH}", "main", "evil:main", "closed", "x", True, None]),
    max_size=4,
)


@st.composite
def _rest(draw: st.DrawFn) -> Asked:
    spoiled = draw(_spoiled)
    method, tail = draw(_method["method" in spoiled]), draw(_tail["tail" in spoiled])
    body: dict[str, Any] = {}
    if draw(st.booleans()) and not spoiled & {"method", "tail"}:
        method, tail = draw(_write).split(" ")
        good = {"pulls": {"title": "x", "head": BRANCH, "base": "main"}, "issues": {"title": "x"}}
        body = good.get(tail, {"body": "x"})
    body |= draw(_json) if "body" in spoiled else {}
    path = draw(_trick["path" in spoiled]).format(
        f"repos/{draw(_repository['repository' in spoiled])}{'/' if tail else ''}{tail}"
    )
    return Asked(
        host=draw(_host["host" in spoiled]),
        line=f"{method} /{path}",
        headers=("Content-Type: application/json", *draw(_headers["headers" in spoiled])),
        body=json.dumps(body).encode(),
    )


_ref = st.sampled_from(
    [f"refs/heads/{BRANCH}"] * 5 + ["refs/heads/main", "refs/tags/v1", "HEAD", f"refs/heads/{BRANCH}/", "refs/heads/x"]
)
_oid = st.sampled_from(["1" * 40, "2" * 40, "0" * 40])


def _pkt(line: bytes) -> bytes:
    return b"%04x" % (len(line) + 4) + line


@st.composite
def _git(draw: st.DrawFn) -> Asked:
    spoiled = draw(_spoiled)
    repository = draw(_repository["repository" in spoiled])
    suffix = draw(st.sampled_from(["", ".git"] if "tail" not in spoiled else ["/", ".GIT", ".git.git"]))
    services = ["git-upload-pack", "git-receive-pack"] if "method" not in spoiled else ["git-upload-archive", "HEAD"]
    service = draw(st.sampled_from(services))
    trick, headers = draw(_trick["path" in spoiled]), draw(_headers["headers" in spoiled])
    host = draw(_host[True]) if "host" in spoiled else GIT_HOST
    if draw(st.integers(0, 2)) == 0:
        path = trick.format(f"{repository}{suffix}/info/refs?service={service}")
        return Asked(host=host, line=f"GET /{path}", headers=headers)
    if "body" not in spoiled:
        lines = [f"{'1' * 40} {'2' * 40} refs/heads/{BRANCH}\0report-status side-band-64k"]
    else:
        lines = [f"{draw(_oid)} {draw(_oid)} {draw(_ref)}" for _ in range(draw(st.integers(0, 2)))]
        lines = [line + draw(_capabilities) for line in lines]
    body = b"".join(_pkt(line.encode()) for line in lines) + b"0000" + draw(st.sampled_from([b"", b"PACK"]))
    path = trick.format(f"{repository}{suffix}/{service}")
    return Asked(host=host, line=f"POST /{path}", headers=headers, body=body)


_capabilities = st.sampled_from(["\0report-status side-band-64k"] * 4 + ["\0", "", "\0report-status push-options"])


@st.composite
def _lfs(draw: st.DrawFn) -> Asked:
    spoiled = draw(_spoiled)
    calls = ["objects/batch", "objects/batch", "locks/verify"]
    call = draw(st.sampled_from(calls if "tail" not in spoiled else ["locks/1/unlock", "gitward/x", "objects", ""]))
    operation = draw(st.sampled_from(["upload", "download"] if "method" not in spoiled else ["delete", "", "Upload"]))
    oid = "../x" if "body" in spoiled else "a" * 64
    repository = draw(_repository["repository" in spoiled])
    return Asked(
        host=GIT_HOST,
        line=f"POST /{draw(_trick['path' in spoiled]).format(f'{repository}.git/info/lfs/{call}')}",
        headers=draw(_headers["headers" in spoiled]),
        body=json.dumps({"operation": operation, "objects": [{"oid": oid, "size": 1}]}).encode(),
    )


_leaf = {
    True: st.sampled_from(
        ["email", "collaborators{totalCount}", "owner{repositories(first:1){nodes{name}}}",
         "object(expression:\"x\"){id}",
         "forks(first:1){nodes{name}}", "...on Node{id}", "issues(first:5){nodes{author{...on User{email}}}}",
         "pullRequest(number:1){headRepository{deployKeys(first:1){totalCount}}}", "...g", "id@x", "id(x:1)"]
    ),
    False: st.sampled_from(
        ["id", "name", "__typename", "url", "owner{login}", "pullRequests(first:9){nodes{id title}}", "...f", "a:id",
         "pullRequest(number:1){headRepository{name}}", "...on Repository{name}", "issues(last:2){totalCount}"]
    ),
}  # fmt: skip
_id = {
    True: st.sampled_from(["Issue:octo/other", "PullRequest:octo/other", "Issue:evil/demo", "Label:octo/demo", "x"]),
    False: st.sampled_from(["Issue:octo/demo", "PullRequest:octo/demo"]),
}
_mutation = {
    True: st.sampled_from(
        ["createRef", "createCommitOnBranch", "mergePullRequest", "deleteIssue", "updateRef",
         "enablePullRequestAutoMerge"]
    ),
    False: st.sampled_from(
        ["addComment", "createIssue", "updateIssue", "createPullRequest", "updatePullRequest",
         "markPullRequestReadyForReview"]
    ),
}  # fmt: skip
_member = {
    "addComment": "subjectId",
    "createIssue": "repositoryId",
    "updateIssue": "id",
    "createPullRequest": "repositoryId",
}


@st.composite
def _query(draw: st.DrawFn, spoiled: frozenset[str]) -> tuple[str, dict[str, Any]]:
    variables: dict[str, Any] = {}
    roots = []
    for number in range(draw(st.integers(1, 2))):
        owner, _, name = draw(_repository["repository" in spoiled]).partition("/")
        fields = " ".join(draw(st.lists(_leaf["tail" in spoiled], min_size=1, max_size=2)))
        if draw(st.booleans()):
            variables |= {f"o{number}": owner, f"n{number}": name}
            roots.append(f"r{number}:repository(owner:$o{number},name:$n{number}){{{fields}}}")
        else:
            roots.append(f'r{number}:repository(owner:"{owner}",name:"{name}"){{{fields}}}')
    if draw(st.integers(0, 3)) == 0:
        variables["id"] = draw(_id["body" in spoiled])
        roots.append("node(id:$id){...on Issue{title}...on PullRequest{title}}")
    defined = f"({','.join(f'${name}:String!' for name in variables)})" if variables else ""
    fragments = "fragment f on Repository{id} fragment g on Repository{deployKeys(first:1){totalCount}}"
    return f"query Q{defined}{{{' '.join(roots)}}} {fragments}", variables


@st.composite
def _change(draw: st.DrawFn, spoiled: frozenset[str]) -> tuple[str, dict[str, Any]]:
    name = draw(_mutation["tail" in spoiled])
    node_id = draw(_id["body" in spoiled])
    kind = {"updateIssue": "Issue", "updatePullRequest": "PullRequest", "markPullRequestReadyForReview": "PullRequest"}
    if name in kind and ":" in node_id:
        node_id = f"{kind[name]}:{node_id.partition(':')[2]}"
    given: dict[str, Any] = {_member.get(name, "pullRequestId"): node_id}
    given |= {"addComment": {"body": "x"}, "createIssue": {"title": "x"}}.get(name, {})
    if name in {"createPullRequest", "createIssue"}:
        given["repositoryId"] = "Repository:octo/other" if "repository" in spoiled else "Repository:octo/demo"
    if name == "createPullRequest":
        heads = ["main", "evil:main", f"evil:{BRANCH}"] if spoiled else [BRANCH, f"octo:{BRANCH}"]
        given |= {"headRefName": draw(st.sampled_from(heads)), "baseRefName": "main", "title": "x"}
    body = f"{draw(st.sampled_from(['', 'addComment:', 'viewer:']))}{name}(input:$input){{clientMutationId}}"
    if draw(st.integers(0, 3)) == 0:
        return f"mutation($input:X!){{...m}} fragment m on Mutation{{{body}}}", {"input": given}
    return f"mutation($input:X!){{{body}}}", {"input": given}


_graphql_line = {
    True: st.sampled_from(["GET /graphql", "PUT /graphql", "POST /Graphql", "POST /graphql/", "POST /graphql?query=x"]),
    False: st.just("POST /graphql"),
}


@st.composite
def _graphql(draw: st.DrawFn) -> Asked:
    spoiled = draw(_spoiled)
    query, variables = draw(st.one_of(_query(spoiled), _change(spoiled)))
    text = json.dumps({"query": query, "variables": variables})
    if "path" in spoiled:
        text = text[:-1] + ',"query":"{viewer{email}}"}'
    return Asked(
        host=draw(_host["host" in spoiled]),
        line=draw(_graphql_line["method" in spoiled]),
        headers=("Content-Type: application/json", *draw(_headers["headers" in spoiled])),
        body=text.encode(),
    )


asked = st.one_of(_rest(), _git(), _lfs(), _graphql())
