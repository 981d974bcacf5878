"""The tables of what is allowed. Everything else is refused with a sentence."""

from __future__ import annotations

import json

import pytest

from gitward.broker.policy import git, rest
from gitward.broker.policy.routes import Kind, find, routes_of
from gitward.broker.policy.verdict import Verdict
from gitward.broker.wire.config import BrokerConfig
from gitward.broker.wire.target import Target, parse_path
from gitward.grants.grant import Grant

GRANT = Grant(
    own_writes=False,
    run_id="run-1",
    repository="octo/demo",
    push_ref="refs/heads/gitward/abc",
    repository_id=42,
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
    ],
)  # fmt: skip
def test_git(method: str, raw: str, rule: str, upstream: str) -> None:
    assert git_verdict(method, raw) == (rule, upstream)


def test_a_refusal_says_what_is_allowed() -> None:
    call = git.parse("POST", ("octo", "other", "git-upload-pack"), ())
    assert isinstance(call, git.GitCall)
    assert git.check(call, GRANT).message == "this session may only fetch from octo/demo, octo/library"


def rest_verdict(method: str, raw: str) -> tuple[str, bool]:
    """The rule, and whether it allows."""
    segments, query = parse_path(raw)
    call = rest.find(method, segments, query, GRANT)
    return (call.rule, False) if isinstance(call, Verdict) else (call.rule.name, True)


@pytest.mark.parametrize(
    ("method", "raw", "rule"),
    [
        ("GET", "/", "rest.root"),
        ("GET", "/user", "rest.user"),
        ("GET", "/repos/octo/demo", "rest.repository"),
        ("GET", "/repos/OCTO/Demo", "rest.repository"),
        ("GET", "/repositories/42", "rest.repository"),
        ("GET", "/repositories/42/issues?page=2", "rest.issues"),
        ("GET", "/repos/octo/demo/readme", "rest.files"),
        ("GET", "/repos/octo/demo/contents/src/a%20b.py?ref=main", "rest.files"),
        ("GET", "/repos/octo/demo/git/ref/heads/gitward/abc", "rest.refs"),
        ("GET", "/repos/octo/demo/compare/main...gitward/abc", "rest.commits"),
        ("GET", "/repos/octo/demo/pulls?state=all&per_page=100", "rest.pulls"),
        ("GET", "/repos/octo/demo/pulls/1/files", "rest.pulls"),
        ("GET", "/repos/octo/demo/actions/runs/7/jobs?filter=latest", "rest.actions"),
        ("GET", "/repos/octo/demo/actions/workflows/ci.yml/runs", "rest.actions"),
        ("POST", "/repos/octo/demo/pulls", "rest.pulls.create"),
        ("PATCH", "/repos/octo/demo/pulls/1", "rest.pulls.edit"),
        ("POST", "/repos/octo/demo/issues", "rest.issues.create"),
        ("POST", "/repos/octo/demo/issues/1/comments", "rest.issues.comment"),
    ],
)
def test_rest_allows(method: str, raw: str, rule: str) -> None:
    assert rest_verdict(method, raw) == (rule, True)


def test_a_repository_goes_on_in_the_grants_spelling() -> None:
    for raw in ("/repos/OCTO/Demo/pulls", "/repositories/42/pulls"):
        call = rest.find("GET", parse_path(raw)[0], (), GRANT)
        assert isinstance(call, rest.RestCall)
        assert call.segments == ("repos", "octo", "demo", "pulls")


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
        ("GET", "/user/keys"),
        ("POST", "/user/keys"),
        ("POST", "/user/gpg_keys"),
        ("POST", "/user/repos"),
        ("GET", "/notifications"),
        ("GET", "/orgs/octo/repos"),
        ("GET", "/repos/octo/other"),
        ("GET", "/repos/octo/library"),
        ("GET", "/repos/octo"),
        ("GET", "/REPOS/octo/demo"),
        ("GET", "/repos/octo/demo/"),
        ("GET", "/repos/octo/demo/PULLS"),
        ("GET", "/repos/octo/demo/pulls/"),
        ("GET", "/repos/octo/demo/pulls/x"),
        ("GET", "/repos/octo/demo/pulls/1/"),
        ("GET", "/repos/octo/demo/contents/"),
        ("GET", "/repos/octo/demo/contents/x?access_token=y"),
        ("GET", "/repos/octo/demo/compare/main...evil:demo:main"),
        ("GET", "/repos/octo/demo/zipball/main"),
        ("GET", "/repos/octo/demo/branches/main/protection"),
        ("PUT", "/repos/octo/demo/branches/main/protection"),
        ("DELETE", "/repos/octo/demo/branches/main/protection"),
        ("POST", "/repos/octo/demo/rulesets"),
        ("PUT", "/repos/octo/demo/contents/README.md"),
        ("DELETE", "/repos/octo/demo/contents/README.md"),
        ("PATCH", "/repos/octo/demo"),
        ("DELETE", "/repos/octo/demo"),
        ("POST", "/repos/octo/demo/transfer"),
        ("POST", "/repos/octo/demo/git/refs"),
        ("PATCH", "/repos/octo/demo/git/refs/heads/main"),
        ("DELETE", "/repos/octo/demo/git/refs/heads/main"),
        ("POST", "/repos/octo/demo/git/blobs"),
        ("POST", "/repos/octo/demo/git/trees"),
        ("POST", "/repos/octo/demo/git/commits"),
        ("POST", "/repos/octo/demo/git/tags"),
        ("PUT", "/repos/octo/demo/pulls/1/merge"),
        ("PUT", "/repos/octo/demo/pulls/1/update-branch"),
        ("POST", "/repos/octo/demo/pulls/1/reviews"),
        ("POST", "/repos/octo/demo/merges"),
        ("POST", "/repos/octo/demo/merge-upstream"),
        ("POST", "/repos/octo/demo/branches/main/rename"),
        ("POST", "/repos/octo/demo/forks"),
        ("POST", "/repos/octo/demo/generate"),
        ("GET", "/repos/octo/demo/keys"),
        ("POST", "/repos/octo/demo/keys"),
        ("GET", "/repos/octo/demo/hooks"),
        ("POST", "/repos/octo/demo/hooks"),
        ("POST", "/repos/octo/demo/hooks/1/tests"),
        ("GET", "/repos/octo/demo/actions/secrets"),
        ("PUT", "/repos/octo/demo/actions/secrets/X"),
        ("PUT", "/repos/octo/demo/dependabot/secrets/X"),
        ("GET", "/repos/octo/demo/actions/variables"),
        ("POST", "/repos/octo/demo/actions/variables"),
        ("POST", "/repos/octo/demo/actions/runners/registration-token"),
        ("GET", "/repos/octo/demo/actions/runners"),
        ("PUT", "/repos/octo/demo/actions/permissions"),
        ("POST", "/repos/octo/demo/actions/workflows/ci.yml/dispatches"),
        ("POST", "/repos/octo/demo/actions/runs/1/rerun"),
        ("POST", "/repos/octo/demo/actions/runs/1/approve"),
        ("DELETE", "/repos/octo/demo/actions/runs/1"),
        ("GET", "/repos/octo/demo/actions/runs/1/logs"),
        ("PUT", "/repos/octo/demo/environments/prod"),
        ("GET", "/repos/octo/demo/environments"),
        ("POST", "/repos/octo/demo/deployments"),
        ("POST", "/repos/octo/demo/dispatches"),
        ("GET", "/repos/octo/demo/collaborators"),
        ("PUT", "/repos/octo/demo/collaborators/evil"),
        ("POST", "/repos/octo/demo/invitations"),
        ("POST", "/repos/octo/demo/statuses/abc"),
        ("POST", "/repos/octo/demo/check-runs"),
        ("POST", "/repos/octo/demo/releases"),
        ("DELETE", "/repos/octo/demo/issues/comments/1"),
        ("DELETE", "/repos/octo/demo/issues/1/labels/x"),
        ("PUT", "/repos/octo/demo/issues/1/lock"),
        ("PUT", "/repos/octo/demo/pages"),
        ("POST", "/app/installations/1/access_tokens"),
        ("POST", "/applications/x/token"),
        ("POST", "/authorizations"),
        ("POST", "/gists"),
        ("GET", "/repositories/43"),
        ("GET", "/repositories"),
        ("GET", "/repositories/42/keys"),
        ("GET", "/repos/%7Bowner%7D/%7Bname%7D"),
        ("GET", "/search/code?q=x"),
        ("GET", "/search/issues?q=repo:octo/demo"),
    ],
)
def test_rest_refuses(method: str, raw: str) -> None:
    segments, query = parse_path(raw)
    verdict = rest.find(method, segments, query, GRANT)
    assert isinstance(verdict, Verdict)
    assert not verdict.allowed
    assert verdict.message


def body_verdict(method: str, raw: str, body: object) -> bytes | Verdict:
    call = rest.find(method, parse_path(raw)[0], (), GRANT)
    assert isinstance(call, rest.RestCall)
    return rest.check_body(call.rule, body if isinstance(body, bytes) else json.dumps(body).encode(), GRANT)


def test_a_pull_request_is_of_the_sessions_branch() -> None:
    pull = {"title": "T", "head": "octo:gitward/abc", "base": "main"}
    sent = body_verdict("POST", "/repos/octo/demo/pulls", pull)
    assert isinstance(sent, bytes)
    assert json.loads(sent) == pull


@pytest.mark.parametrize(
    ("method", "raw", "body"),
    [
        ("POST", "/repos/octo/demo/pulls", {"title": "T", "head": "main", "base": "x"}),
        ("POST", "/repos/octo/demo/pulls", {"title": "T", "base": "x"}),
        ("POST", "/repos/octo/demo/pulls", {"head": "gitward/abc", "head_repo": "evil/demo"}),
        ("POST", "/repos/octo/demo/pulls", b'{"head":"gitward/abc","head":"main"}'),
        ("PATCH", "/repos/octo/demo/pulls/1", {"state": "closed"}),
        ("PATCH", "/repos/octo/demo/issues/1", {"state": "closed"}),
        ("POST", "/repos/octo/demo/issues/1/comments", ["x"]),
        ("POST", "/repos/octo/demo/issues/1/comments", b""),
    ],
)
def test_bodies_are_looked_into(method: str, raw: str, body: object) -> None:
    verdict = body_verdict(method, raw, body)
    assert isinstance(verdict, Verdict)
    assert not verdict.allowed


PUBLIC = BrokerConfig(server_url="https://github.com", api_url="https://api.github.com")
ENTERPRISE = BrokerConfig(server_url="https://ghe.example:8443", api_url="https://ghe.example:8443/api/v3")


@pytest.mark.parametrize(
    ("config", "host", "raw", "expected"),
    [
        (PUBLIC, "github.com", "/octo/demo", (Kind.GIT, ("octo", "demo"))),
        (PUBLIC, "github.com", "/octo/demo/info/lfs/locks", (Kind.LFS, ("octo", "demo", "info", "lfs", "locks"))),
        (PUBLIC, "api.github.com", "/a/b/info/lfs", (Kind.REST, ("a", "b", "info", "lfs"))),
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


@pytest.mark.parametrize(
    "raw",
    ["commits/abcd", "commits/ABC1234/check-runs", "git/blobs/abcdef", "git/commits/1234", "git/trees/beef?recursive=1",
     "compare/main...abc123", "compare/abcd..main", "contents/x?ref=abc123", "commits?sha=abc123", "commits/abcd~1",
     "contents?ref=abcd:x", "readme?ref=abcd%5E", f"git/tags/{'a' * 39}", "commits/v1-2-gabcd", "commits?sha=x-gABCDE",
     "compare/main...v1-2-gabcde", "commits/abcd%20", "contents?ref=+abcd", "contents?ref=abcd%0A", "commits/abcd.diff",
     "commits/a/x-gabcd", "commits/a/x-gabcd/status", "commits/abcd.html",
     "commits/%5Eabcd", "contents?ref=%EF%BB%BFabcd", "commits/abcd;x"],
)  # fmt: skip
def test_no_object_is_named_by_the_beginning_of_its_id(raw: str) -> None:
    """GitHub gives objects of every fork: their ids must not be guessed."""
    assert rest_verdict("GET", f"/repos/octo/demo/{raw}") == ("rest.abbreviated", False)


@pytest.mark.parametrize(
    "raw",
    [f"commits/{'a' * 40}", f"commits/{'a' * 64}", f"compare/main...{'b' * 40}", "contents/abcd?ref=main",
     "commits/abc", "contents?ref=refs/heads/abcd", "compare/v1.2.3...feature/abcd", "branches/abcd",
     "git/ref/heads/abcd"],
)  # fmt: skip
def test_full_ids_and_names_are_taken(raw: str) -> None:
    assert rest_verdict("GET", f"/repos/octo/demo/{raw}")[1]
