"""Requests as a hostile sandbox may make them: often good ones, with one thing wrong."""

# ruff: noqa: UP031 - documents are full of braces

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from hostile_texts import ALPHABET, SHAPES, text_of

from .conftest import BRANCH
from .oracle import LISTED, MODEL_HOST, OWN
from .wire import API_HOST, GIT_HOST


@dataclass(frozen=True, kw_only=True, repr=False)
class Asked:
    """What the sandbox sends."""

    kind: str  # which part of the policy it is for: git, lfs, rest, graphql, inject, or cost: all of them
    host: str
    line: str  # "GET /user"
    headers: tuple[str, ...] = ()
    body: bytes = b""

    @property
    def upgrades(self) -> bool:
        """Whether it wants to speak another protocol."""
        return any(
            header.lower().startswith(("upgrade:", "connection: up", "http2-", "sec-w")) for header in self.headers
        )

    def __repr__(self) -> str:
        """What a person can read: of a long body the ends."""
        body = self.body if len(self.body) < 2000 else self.body[:500] + b" [...] " + self.body[-500:]
        return f"{self.kind}: {self.line} at {self.host} {self.headers} {body!r} ({len(self.body)} bytes)"


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
            ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA==", "Sec-WebSocket-Version: 13"),
            ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
            ("Connection: uPgRade",),
            ("HTTP2-Settings: AAMAAABk",),
            ("Sec-WebSocket-Key: eA==",),
        ]
    ),
    False: st.just(()),
}
_github = "Accept: application/vnd.github"
_accept: st.SearchStrategy[tuple[str, ...]] = st.sampled_from(
    [
        (),
        (),
        ("Accept: */*",),
        (f"{_github}+json",),
        (f"{_github}.v3.diff; charset=utf-8",),
        (f"{_github}.raw",),
        ("Accept: application/json;q=0.5, text/html",),
        (f"{_github}.nebula-preview, {_github[8:]}.x-preview+json",),
        (f"{_github}.html",),
        (f"{_github}.full+json",),
        ("Accept: text/html",),
        (f"{_github}.raw", f"{_github}.a-preview"),
        (f"{_github}.patch,{_github[8:]}.html",),
        ("Accept: a/b, */*",),
    ]
)
_number = st.integers(0, 30).map(str)
_own_number = st.sampled_from([7, 7, 7, 5, 5, 9, 1, 2, 3, 4, 6])  # of `reaches`, most of them the session's
_text = st.sampled_from(
    ["x", "x", "Closes #1", "fixes octo/demo#2", "closes octo/other#1", "Fixes: https://github.com/octo/other/issues/1",
     "resolved\tocto/other#1", "close  Octo/Other#3", "Resolves https://github.com/evil/demo/pull/2", None, 1]
)  # fmt: skip
_tail = {
    True: st.one_of(
        st.sampled_from(
            ["keys", "hooks", "actions/secrets", "merges", "git/refs", "environments", "collaborators", "dispatches",
             "actions/runners/registration-token", "actions/variables", "branches/main/protection", "zipball/main",
             "compare/main...evil:demo:main", "pulls/1/merge", "pulls/1/update-branch", "pulls/1/reviews",
             "issues/1/lock", "issues/1/reactions", "pulls/1/requested_reviewers", "issues/1/sub_issues", "comments/1",
             "actions/runs/1/rerun", "actions/runs/1/logs", "rulesets", "forks", "transfer"]
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
_write = st.one_of(
    st.sampled_from(["POST pulls", "POST pulls", "POST issues"]),
    st.builds(
        "{}".format,
        st.tuples(
            st.sampled_from(
                ["PATCH pulls/{}", "PATCH issues/{}", "POST issues/{}/comments", "POST issues/{}/comments",
                 "POST issues/{}/labels", "POST issues/{}/assignees", "POST pulls/{}/requested_reviewers"]
            ),
            _own_number,
        ).map(lambda each: each[0].format(each[1])),
    ),
)  # fmt: skip
_logins = st.lists(st.sampled_from(["dev", "hubot", "copilot", "dependabot[bot]"]), max_size=2)
_json = st.dictionaries(
    st.sampled_from(["title", "body", "head", "base", "state", "labels", "draft", "head_repo", "sha", "force"]),
    st.sampled_from([BRANCH, f"octo:{BRANCH}", "main", "evil:main", "closed", "x", True, None]),
    max_size=4,
)

_meta: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{"labels": ["x"]}, {"labels": []}, {"assignees": ["dev"]}, {"milestone": 1}, {"base": "x"}, {"issue": 1},
     {"maintainer_can_modify": True}, {"assignees": ["copilot"]}, {"title": "closes octo/other#1"}]
)  # fmt: skip
_head = st.sampled_from(["main", "evil:main", f"evil:{BRANCH}", f":{BRANCH}", f"octo:evil:{BRANCH}", f"{BRANCH}x", ""])


@st.composite
def _rest(draw: st.DrawFn) -> Asked:
    spoiled = draw(_spoiled)
    method, tail = draw(_method["method" in spoiled]), draw(_tail["tail" in spoiled])
    body: dict[str, Any] = {}
    if draw(st.booleans()) and not spoiled & {"method", "tail"}:
        method, tail = draw(_write).split(" ")
        text = draw(_text)
        draft = {"draft": draw(st.sampled_from([True, True, True, False, None]))} if draw(st.integers(0, 4)) else {}
        good: dict[str, dict[str, Any]] = {
            "pulls": {"title": text, "head": BRANCH, "base": draw(st.sampled_from(["main", "main", "x"])), **draft},
            "issues": {"title": text},
            "labels": {"labels": ["x"]},
            "assignees": {"assignees": draw(_logins)},
            "requested_reviewers": {"reviewers": draw(_logins)},
        }
        body = dict(good.get(tail.rpartition("/")[2], {"body": text}))
        if draw(st.integers(0, 4)) == 0:
            body |= draw(_meta)
    if "body" in spoiled:
        body |= {"head": draw(_head)} if tail == "pulls" and draw(st.booleans()) else draw(_json)
    path = draw(_trick["path" in spoiled]).format(
        f"repos/{draw(_repository['repository' in spoiled])}{'/' if tail else ''}{tail}"
    )
    return Asked(
        kind="rest",
        host=draw(_host["host" in spoiled]),
        line=f"{method} /{path}",
        headers=("Content-Type: application/json", *draw(_accept), *draw(_headers["headers" in spoiled])),
        body=json.dumps(body).encode(),
    )


_ref = st.sampled_from(
    [f"refs/heads/{BRANCH}"] * 5
    + ["refs/heads/main", "refs/tags/v1", "HEAD", "refs/heads/x"]
    + [f"refs/heads/{BRANCH}/", f"refs/heads/{BRANCH}x"] * 3
)
_oid = st.sampled_from(["1" * 40, "2" * 40, "0" * 40])


def _pkt(line: bytes) -> bytes:
    return b"%04x" % (len(line) + 4) + line


_fetch = st.sampled_from(
    [b"0014command=ls-refs\n00010009peel\n0000", b"0014command=ls-refs\n0000", b"0000",
     b"0012command=fetch\n0001000fno-progress0000", b"0014command=ls-refs\n00000012command=fetch\n0000",
     b"0032want " + b"1" * 40 + b"\n00000009done\n"]
)  # fmt: skip


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
    lists = service == "git-upload-pack" and draw(st.booleans())
    asked = draw(_fetch) if lists else draw(_push("body" in spoiled))
    if lists:
        headers = (*headers, "Git-Protocol: version=2")
    body, framing = draw(_encoded(asked))
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
_option = st.sampled_from(
    ["ci.skip", "repo.private=false", " Repo.Template=true", "x" * 300, "CI.skip", "ci.skip ", "hook.bypass", ""]
)


_asks_for_options = st.sampled_from(
    [b" push-options"] * 8 + [b" push-options=1", b"\tpush-options", b"\npush-options", b" agent=x push-options="]
)


@st.composite
def _push(draw: st.DrawFn, spoiled: bool) -> bytes:
    """The body of git-receive-pack: a good one of the session's branch, or one with something else in it."""
    good = f"{'1' * 40} {'2' * 40} refs/heads/{BRANCH}\0report-status side-band-64k"
    pack = draw(st.sampled_from([b"", b"PACK"]))
    if draw(st.integers(0, 5)) == 0:
        options = b"".join(_pkt(line.encode()) for line in draw(st.lists(_option, min_size=1, max_size=2)))
        return _pkt(good.encode() + draw(_asks_for_options)) + b"0000" + options + b"0000" + pack
    if not spoiled:
        return _pkt(good.encode()) + b"0000" + pack
    if draw(st.booleans()):
        own = (f"refs/heads/{BRANCH}", _ref) if draw(st.booleans()) else ("2" * 40, _oid)
        return _pkt(good.replace(own[0], draw(own[1])).encode()) + b"0000" + pack
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
    oid = draw(st.sampled_from(["../x", "b" * 64])) if "body" in spoiled else "a" * 64
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
    False: st.builds("{}:octo/demo:{}".format, st.sampled_from(["Issue", "PullRequest", "PullRequest"]), _own_number),
}
_mutation = {
    True: st.sampled_from(
        ["createRef", "createCommitOnBranch", "mergePullRequest", "deleteIssue", "updateRef",
         "enablePullRequestAutoMerge"]
    ),
    False: st.sampled_from(
        ["addComment", "createIssue", "updateIssue", "createPullRequest", "updatePullRequest",
         "markPullRequestReadyForReview", "convertPullRequestToDraft", "convertPullRequestToDraft"]
    ),
}  # fmt: skip
_member = {
    "addComment": "subjectId",
    "createIssue": "repositoryId",
    "updateIssue": "id",
    "createPullRequest": "repositoryId",
}


_search = {
    True: st.builds(
        "{}{}{}".format,
        st.sampled_from(["repo:octo/demo", "is:open repo:octo/demo", "x", 'repo:octo/demo "', "(repo:octo/demo"]),
        st.sampled_from(
            [" ", "", *map(chr, (9, 10, 13, 0x1C, 0x1D, 0x1F, 0x85, 0xA0, 0x200B, 0x2028, 0x3000, 0xFEFF))]
        ),
        st.sampled_from(["x", "repo:octo/other", "OR repo:evil/demo", "org:evil", "REPO:octo/demo", '"a b"', ")", ""]),
    ),
    False: st.sampled_from(["repo:octo/demo is:open", 'is:pr REPO:Octo/DEMO "a b"', "repo:octo/demo  label:x"]),
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
    if draw(st.booleans()):
        variables["s"] = draw(_search[draw(st.booleans())])
        roots.append("search(query:$s,type:ISSUE,first:1){issueCount}")
    defined = f"({','.join(f'${name}:String!' for name in variables)})" if variables else ""
    fragments = "fragment f on Repository{id} fragment g on Repository{deployKeys(first:1){totalCount}}"
    return f"query Q{defined}{{{' '.join(roots)}}} {fragments}", variables


_input_meta: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{"labelIds": []}, {"labelIds": ["Label:octo/demo"]}, {"assigneeIds": ["User:dev"]}, {"milestoneId": None},
     {"baseRefName": "x"}, {"issueTemplate": "bug.md"}, {"parentIssueId": "Issue:octo/demo:5"},
     {"body": "closes octo/other#1"}]
)  # fmt: skip


@st.composite
def _change(draw: st.DrawFn, spoiled: frozenset[str]) -> tuple[str, dict[str, Any]]:
    name = draw(_mutation["tail" in spoiled])
    node_id = draw(_id["body" in spoiled])
    kind = {"addComment": "", "updateIssue": "Issue"}.get(name, "PullRequest")
    if kind and ":" in node_id:
        node_id = f"{kind}:{node_id.partition(':')[2]}"
    given: dict[str, Any] = {_member.get(name, "pullRequestId"): node_id}
    text = draw(_text)
    given |= {"addComment": {"body": text}, "createIssue": {"title": text}, "updateIssue": {"body": text}}.get(name, {})
    if draw(st.integers(0, 4)) == 0:
        given |= draw(_input_meta)
    if name in {"createPullRequest", "createIssue"}:
        given["repositoryId"] = "Repository:octo/other" if "repository" in spoiled else "Repository:octo/demo"
    if name == "createPullRequest":
        heads = ["main", "evil:main", f"evil:{BRANCH}"] if spoiled else [BRANCH, f"octo:{BRANCH}"]
        given |= {"headRefName": draw(st.sampled_from(heads))}
        given |= {"baseRefName": draw(st.sampled_from(["main", "main", "x"]))}
        given |= {"title": text}
        given |= {"draft": draw(st.sampled_from([True, True, True, False, None]))} if draw(st.integers(0, 4)) else {}
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


_model_path = {
    True: st.one_of(
        st.sampled_from(
            ["v1/keys", "v1/messages/", "v1/messages/x", "v1/models", "v1/models/", "v1/models/../keys", "v1/models//x",
             "v1/models/%2e%2e/keys", "v1/models/..%2fkeys", "v1/models/..;/keys", "v1/messages;x", "v1/models/a%3bx",
             "v1/models/%252e%252e/keys", "v1/models/..%5ckeys", "v1/models/...", "v1/messages%20", "V1/messages",
             "v1/models/%ef%bc%8e%ef%bc%8e/keys", "v1/messages%00", "v1/keys%3f/v1/messages", "/v1/messages",
             "v1/keys#x"]
        ),
        st.text("v1/models.;%2ef5c", max_size=24),
    ),
    False: st.sampled_from(["v1/messages", "v1/%6dessages", "v1/models/a", "v1/models/a/b:run", "v1/models/a%2Bb"]),
}  # fmt: skip


@st.composite
def _inject(draw: st.DrawFn) -> Asked:
    """To the host of a model, of which the operator has listed paths."""
    spoiled = draw(_spoiled)
    path = draw(_model_path[bool(spoiled & {"path", "tail", "repository"})])
    query = draw(st.sampled_from(["", "?x=/v1/keys", "?a=%2f..%2f;b"]))
    return Asked(
        kind="inject",
        host=draw(st.sampled_from([MODEL_HOST, MODEL_HOST.upper()])) if "host" in spoiled else MODEL_HOST,
        line=f"{draw(st.sampled_from(['GET', 'POST', 'DELETE']))} /{path}{query}",
        headers=draw(_headers["headers" in spoiled]),
    )


_DEAR = {  # documents with a place for a text, and how a JSON value stands in a body of REST
    "search": "query($v:String!){%s}" % " ".join(
        f"a{each}:search(query:$v,type:ISSUE,first:1){{issueCount}}" for each in range(9)
    ),
    "label": "query($v:String!){repository(owner:\"octo\",name:\"demo\"){label(name:$v){id}}}",
    "owner": "query($v:String!){repository(owner:$v,name:\"demo\"){id}}",
    "ids": "mutation($v:ID!){%s}" % " ".join(
        f'a{each}:addLabelsToLabelable(input:{{labelableId:"x",labelIds:$v}}){{clientMutationId}}' for each in range(60)
    ),
}  # fmt: skip


@st.composite
def _cost(draw: st.DrawFn) -> Asked:
    """Long, and as dear to read as can be."""
    size = draw(st.sampled_from([200, 20_000, 160_000, 250_000, 500_000]))
    unit = ALPHABET[draw(st.sampled_from(sorted(ALPHABET)))]
    begin = draw(st.sampled_from(["", "repo:octo/demo ", "octo:"]))
    text = text_of(begin, unit, size)
    value = draw(st.sampled_from([text, [text[:200]] * (size // 200), [unit] * (size // 4)]))
    form, ascii_only = draw(st.sampled_from(["rest", "shape", *_DEAR])), draw(st.booleans())
    line = "POST /graphql"
    if form == "rest":
        line, member = draw(st.sampled_from([("POST", "head"), ("POST", "title"), ("PATCH", "body")]))
        body = json.dumps({member: value, **({"base": "main"} if line == "POST" else {})}, ensure_ascii=ascii_only)
        line = f"{line} /repos/octo/demo/pulls{'/1' if line == 'PATCH' else ''}"
    elif form == "shape":
        body = SHAPES[draw(st.sampled_from(sorted(SHAPES)))](draw(st.sampled_from([5, 50, 300, 2500]))).decode()
    else:
        body = json.dumps({"query": _DEAR[form], "variables": {"v": value}}, ensure_ascii=ascii_only)
    sent = body.encode("utf-8", "replace")
    return Asked(kind="cost", host=API_HOST, line=line, headers=("Content-Type: application/json",), body=sent)


BY_KIND = {
    "rest": _rest(),
    "git": _git(),
    "lfs": _lfs(),
    "graphql": _graphql(),
    "inject": _inject(),
    "cost": _cost(),
}
asked = st.one_of(*BY_KIND.values())
