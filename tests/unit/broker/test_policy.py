"""The tables of what is allowed. Everything else is refused with a sentence."""

from __future__ import annotations

import json

import pytest

from gitward.broker import git, graphql, rest
from gitward.broker.config import BrokerConfig
from gitward.broker.routes import Kind, find, routes_of
from gitward.broker.target import Target, parse_path
from gitward.broker.verdict import Verdict
from gitward.grants.grant import Grant

GRANT = Grant(
    run_id="run-1",
    repository="octo/demo",
    push_ref="refs/heads/gitward/abc",
    readable=("octo/library",),
    expires_at=2e9,
)


def git_verdict(method: str, raw: str) -> tuple[str, str]:
    """The rule, and where an allowed call goes."""
    segments, query = parse_path(raw)
    call = git.parse(method, segments, query)
    if isinstance(call, Verdict):
        assert not call.allowed
        return call.rule, ""
    verdict = git.check(call, GRANT)
    return verdict.rule, git.upstream_path(call, GRANT) if verdict.allowed else ""


@pytest.mark.parametrize(
    ("method", "raw", "rule", "upstream"),
    [
        ("GET", "/octo/demo.git/info/refs?service=git-upload-pack", "git.fetch",
         "/octo/demo.git/info/refs?service=git-upload-pack"),
        ("GET", "/Octo/DEMO/info/refs?service=git-upload-pack", "git.fetch",
         "/octo/demo.git/info/refs?service=git-upload-pack"),
        ("POST", "/octo/demo/git-upload-pack", "git.fetch", "/octo/demo.git/git-upload-pack"),
        ("POST", "/octo/library/git-upload-pack", "git.fetch", "/octo/library.git/git-upload-pack"),
        ("GET", "/octo/demo/info/refs?service=git-receive-pack", "git.push",
         "/octo/demo.git/info/refs?service=git-receive-pack"),
        ("POST", "/octo/demo.git/git-receive-pack", "git.push", "/octo/demo.git/git-receive-pack"),
        ("GET", "/octo/other/info/refs?service=git-upload-pack", "git.fetch.repository", ""),
        ("GET", "/octo/library/info/refs?service=git-receive-pack", "git.push.repository", ""),
        ("POST", "/octo/library/git-receive-pack", "git.push.repository", ""),
        ("POST", "/octo/demo.git.git/git-receive-pack", "git.push.repository", ""),
        ("GET", "/octo/demo/info/refs", "git.dumb", ""),
        ("GET", "/octo/demo/info/refs?service=git-upload-archive", "git.dumb", ""),
        ("GET", "/octo/demo/info/refs?service=git-upload-pack&x=1", "git.dumb", ""),
        ("GET", "/octo/demo/info/refs?service=git-upload-pack&service=git-receive-pack", "git.dumb", ""),
        ("POST", "/octo/demo/info/refs?service=git-upload-pack", "git.unlisted", ""),
        ("GET", "/octo/demo/git-upload-pack", "git.unlisted", ""),
        ("POST", "/octo/demo/git-upload-pack?x=1", "git.unlisted", ""),
        ("POST", "/octo/demo/git-upload-pack/", "git.unlisted", ""),
        ("POST", "/octo/demo/Git-Upload-Pack", "git.unlisted", ""),
        ("POST", "/octo/demo/git-upload-archive", "git.unlisted", ""),
        ("GET", "/octo/demo/HEAD", "git.unlisted", ""),
        ("GET", "/octo/demo/objects/info/packs", "git.unlisted", ""),
        ("GET", "/octo/demo/settings", "git.unlisted", ""),
        ("GET", "/octo/demo", "git.unlisted", ""),
        ("GET", "/", "git.unlisted", ""),
        ("POST", "/octo/demo.git/info/lfs/objects/batch", "git.lfs", ""),
    ],
)  # fmt: skip
def test_git(method: str, raw: str, rule: str, upstream: str) -> None:
    assert git_verdict(method, raw) == (rule, upstream)


def test_a_refusal_says_what_is_allowed() -> None:
    call = git.parse("POST", ("octo", "other", "git-upload-pack"), ())
    assert isinstance(call, git.GitCall)
    assert git.check(call, GRANT).message == "this session may only fetch from octo/demo, octo/library"


@pytest.mark.parametrize(
    ("method", "raw", "rule"),
    [
        ("GET", "/", "rest.root"),
        ("GET", "/user", "rest.user"),
        ("GET", "/repos/octo/demo", "rest.repository"),
        ("GET", "/repos/OCTO/Demo", "rest.repository"),
    ],
)
def test_rest_allows(method: str, raw: str, rule: str) -> None:
    segments, query = parse_path(raw)
    verdict = rest.check(method, segments, query, GRANT)
    assert (verdict.allowed, verdict.rule) == (True, rule)


@pytest.mark.parametrize(
    ("method", "raw"),
    [
        ("POST", "/"),
        ("HEAD", "/user"),
        ("PATCH", "/user"),
        ("GET", "/user/"),
        ("GET", "/USER"),
        ("GET", "/user?per_page=1"),
        ("GET", "/users/dev"),
        ("GET", "/user/repos"),
        ("GET", "/repos/octo/other"),
        ("GET", "/repos/octo"),
        ("GET", "/REPOS/octo/demo"),
        ("GET", "/repos/octo/demo/"),
        ("GET", "/repos/octo/demo/contents/README.md"),
        ("PUT", "/repos/octo/demo/contents/README.md"),
        ("PATCH", "/repos/octo/demo"),
        ("DELETE", "/repos/octo/demo"),
        ("POST", "/repos/octo/demo/git/refs"),
        ("PUT", "/repos/octo/demo/pulls/1/merge"),
        ("POST", "/repos/octo/demo/keys"),
        ("POST", "/repos/octo/demo/hooks"),
        ("POST", "/repos/octo/demo/dispatches"),
        ("GET", "/repositories/1"),
        ("GET", "/repos/%7Bown%7D"),
        ("GET", "/search/code?q=x"),
    ],
)
def test_rest_refuses(method: str, raw: str) -> None:
    segments, query = parse_path(raw)
    verdict = rest.check(method, segments, query, GRANT)
    assert not verdict.allowed
    assert verdict.message


def body(query: object, **more: object) -> bytes:
    return json.dumps({"query": query, **more}).encode()


@pytest.mark.parametrize(
    "data",
    [
        body("query UserCurrent{viewer{login}}"),
        body("query UserCurrent{viewer{login}}", variables=None),
        body("query UserCurrent{viewer{login}}", variables={}, operationName="UserCurrent"),
        body("query UserCurrent {\n  viewer {\n\tlogin\n  }\n}\n"),
        body("{ viewer { login } }"),
    ],
)
def test_graphql_allows_the_viewers_login(data: bytes) -> None:
    verdict = graphql.check(data, GRANT)
    assert (verdict.allowed, verdict.rule) == (True, "graphql.viewer")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b"\xff",
        b"[" * 100_000,
        body(1),
        body("mutation{x}"),
        body("{viewer{login email}}"),
        body("{viewer{login}}", variables={"a": 1}),
        body("{viewer{login}}", extensions={}),
        body("{viewer{login}} mutation X{y}"),
        body("query UserCurrent{viewer{login,email}}"),
        body("query UserCurrent#\n{viewer{login}}"),
        body("queryUserCurrent{viewer{login}}"),
        body("{viewer{login}}", operationName="X"),
        b'{"query":"{viewer{login}}","query":"mutation{x}"}',
        b'[{"query":"{viewer{login}}"}]',
        json.dumps({"query": "{viewer{login}}"}).encode("utf-16"),
    ],
)
def test_graphql_refuses_all_else(data: bytes) -> None:
    verdict = graphql.check(data, GRANT)
    assert not verdict.allowed
    assert verdict.message


PUBLIC = BrokerConfig(server_url="https://github.com", api_url="https://api.github.com")
ENTERPRISE = BrokerConfig(server_url="https://ghe.example:8443", api_url="https://ghe.example:8443/api/v3")


@pytest.mark.parametrize(
    ("config", "host", "raw", "expected"),
    [
        (PUBLIC, "github.com", "/octo/demo", (Kind.GIT, ("octo", "demo"))),
        (PUBLIC, "github.com", "/graphql", (Kind.GIT, ("graphql",))),
        (PUBLIC, "api.github.com", "/", (Kind.REST, ())),
        (PUBLIC, "api.github.com", "/user", (Kind.REST, ("user",))),
        (PUBLIC, "api.github.com", "/graphql", (Kind.GRAPHQL, ())),
        (PUBLIC, "api.github.com", "/graphql/x", (Kind.REST, ("graphql", "x"))),
        (ENTERPRISE, "ghe.example", "/api/v3/user", (Kind.REST, ("user",))),
        (ENTERPRISE, "ghe.example", "/api/v3/", (Kind.REST, ("",))),
        (ENTERPRISE, "ghe.example", "/api/graphql", (Kind.GRAPHQL, ())),
        (ENTERPRISE, "ghe.example", "/octo/demo", (Kind.GIT, ("octo", "demo"))),
        (ENTERPRISE, "ghe.example", "/api/uploads/x", (Kind.GIT, ("api", "uploads", "x"))),
        (PUBLIC, "evil.example", "/", None),
    ],
)
def test_routes(config: BrokerConfig, host: str, raw: str, expected: object) -> None:
    segments, query = parse_path(raw)
    assert find(routes_of(config), Target(host=host, segments=segments, query=query)) == expected
