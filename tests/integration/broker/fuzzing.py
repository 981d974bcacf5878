"""Requests as a hostile sandbox may make them: often good ones, with one thing wrong."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from .conftest import BRANCH
from .oracle import LISTED, OWN
from .wire import API_HOST, GIT_HOST


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the sandbox sends."""

    kind: str  # which part of the policy it is for: git, lfs, rest, graphql
    host: str
    line: str  # "GET /user"
    headers: tuple[str, ...] = ()
    body: bytes = b""


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
            "{}%2F..%2Fkeys",
            "{}%2f%2e%2e%2f%2e%2e%2fother",
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

_head = st.sampled_from(["main", "evil:main", f"evil:{BRANCH}", f":{BRANCH}", f"octo:evil:{BRANCH}", f"{BRANCH}x", ""])


@st.composite
def _rest(draw: st.DrawFn) -> Asked:
    spoiled = draw(_spoiled)
    method, tail = draw(_method["method" in spoiled]), draw(_tail["tail" in spoiled])
    body: dict[str, Any] = {}
    if draw(st.booleans()) and not spoiled & {"method", "tail"}:
        method, tail = draw(_write).split(" ")
        good = {"pulls": {"title": "x", "head": BRANCH, "base": "main"}, "issues": {"title": "x"}}
        body = good.get(tail, {"body": "x"})
    if "body" in spoiled:
        body |= {"head": draw(_head)} if tail == "pulls" and draw(st.booleans()) else draw(_json)
    path = draw(_trick["path" in spoiled]).format(
        f"repos/{draw(_repository['repository' in spoiled])}{'/' if tail else ''}{tail}"
    )
    return Asked(
        kind="rest",
        host=draw(_host["host" in spoiled]),
        line=f"{method} /{path}",
        headers=("Content-Type: application/json", *draw(_headers["headers" in spoiled])),
        body=json.dumps(body).encode(),
    )


_ref = st.sampled_from(
    [f"refs/heads/{BRANCH}"] * 5
    + ["refs/heads/main", "refs/tags/v1", "HEAD", f"refs/heads/{BRANCH}/", f"refs/heads/{BRANCH}x", "refs/heads/x"]
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
        return Asked(kind="git", host=host, line=f"GET /{path}", headers=headers)
    body, framing = draw(_encoded(draw(_push("body" in spoiled))))
    path = trick.format(f"{repository}{suffix}/{service}")
    return Asked(kind="git", host=host, line=f"POST /{path}", headers=(*headers, *framing), body=body)


_capabilities = st.sampled_from(["\0report-status side-band-64k"] * 4 + ["\0", "", "\0report-status push-options"])
_command = st.builds("{} {} {}{}".format, _oid, _oid, _ref, _capabilities)
_odd_line = st.sampled_from(
    ["shallow " + "1" * 40, "push-cert\0", "push-cert-end", "", "x", "\n", "1" * 40, f"{'1' * 40} {'2' * 40} main",
     f"{'1' * 40} {'2' * 40} refs/heads/main\0report-status", f"{'1' * 64} {'2' * 64} refs/heads/{BRANCH}"]
)  # fmt: skip
_odd_framing = st.sampled_from(
    [b"0000", b"0001", b"0002", b"0003", b"0004", b"fff1", b"FFF0", b"00zz", b"-001", b"+00a", b" 00a", b"00", b""]
)
_option = st.sampled_from(["ci.skip", "repo.private=false", " Repo.Template=true", "x" * 300])


@st.composite
def _push(draw: st.DrawFn, spoiled: bool) -> bytes:
    """The body of git-receive-pack: a good one of the session's branch, or one with something else in it."""
    good = f"{'1' * 40} {'2' * 40} refs/heads/{BRANCH}\0report-status side-band-64k"
    pack = draw(st.sampled_from([b"", b"PACK"]))
    if not spoiled:
        return _pkt(good.encode()) + b"0000" + pack
    if draw(st.booleans()):
        return _pkt(good.replace(f"refs/heads/{BRANCH}", draw(_ref)).encode()) + b"0000" + pack
    commands = draw(st.lists(st.one_of(st.just(good), _command, _command, _odd_line), max_size=3))
    pieces = [_pkt(line.encode()) for line in commands] + [b"0000"]
    if draw(st.booleans()):
        pieces += [_pkt(line.encode()) for line in draw(st.lists(_option, max_size=2))] + [b"0000"]
    if draw(st.integers(0, 3)) == 0:
        pieces.insert(draw(st.integers(0, len(pieces))), draw(_odd_framing))
    return b"".join(pieces) + pack


@st.composite
def _encoded(draw: st.DrawFn, body: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The body as it goes on the wire, with the headers that say so."""
    coding = draw(st.sampled_from(["plain", "plain", "plain", "gzip", "chunked", "both", "torn"]))
    framing: tuple[str, ...] = ()
    if coding in {"gzip", "both"}:
        body, framing = gzip.compress(body, 1), ("Content-Encoding: gzip",)
    if coding == "torn":
        return gzip.compress(body, 1)[:-3], ("Content-Encoding: gzip",)
    if coding in {"chunked", "both"} and body:
        size = draw(st.integers(1, len(body)))
        chunks = [body[start : start + size] for start in range(0, len(body), size)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
        framing = (*framing, "Transfer-Encoding: chunked")
    return body, framing


@st.composite
def _lfs(draw: st.DrawFn) -> Asked:
    spoiled = draw(_spoiled)
    calls = ["objects/batch", "objects/batch", "locks/verify"]
    call = draw(st.sampled_from(calls if "tail" not in spoiled else ["locks/1/unlock", "gitward/x", "objects", ""]))
    operation = draw(st.sampled_from(["upload", "download"] if "method" not in spoiled else ["delete", "", "Upload"]))
    oid = "../x" if "body" in spoiled else "a" * 64
    repository = draw(_repository["repository" in spoiled])
    return Asked(
        kind="lfs",
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
        kind="graphql",
        host=draw(_host["host" in spoiled]),
        line=draw(_graphql_line["method" in spoiled]),
        headers=("Content-Type: application/json", *draw(_headers["headers" in spoiled])),
        body=text.encode(),
    )


BY_KIND = {"rest": _rest(), "git": _git(), "lfs": _lfs(), "graphql": _graphql()}
asked = st.one_of(*BY_KIND.values())
