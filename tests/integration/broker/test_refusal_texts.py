"""Every rule that can refuse a call of the API: what a person then reads in gh's output, and the event.

The table is checked against the broker's source: a new rule without a row fails. What gh cannot send at all is sent
with curl. The texts of git and git-lfs are tested beside those.
"""

from __future__ import annotations

import ast
import dataclasses
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import pytest
import pytest_asyncio

import gitward.broker
from gitward.broker import BrokerConfig, Brokers, OpenGrant
from gitward.broker.policy.rest import RULES, RestRule
from gitward.grants import clock
from gitward.grants.grant import Grant
from gitward.secrets import Secret
from gitward_standin import StandIn

from .conftest import REPOSITORY, TOKEN, Events, new_grant, populated
from .rig import Inside, inside

OLD, NEW = "/usr/bin/gh", str(Path(sys.executable).with_name("gh"))
BOTH = (OLD, NEW)
OWN = 'repository(owner:"octo",name:"demo")'
ELSEWHERE = ("git.", "lfs.", "egress.", "inject.")  # rules whose refusals no call of the API meets
PLACES = {"{number}": "1", "{one}": "x", "{sha}": "abcd", "{path}": "x", "{range}": "a...b"}


@dataclass(frozen=True)
class Refused:
    """One way to run into a rule, and all that is then written to standard error, or by curl to standard output."""

    rule: str
    argv: tuple[str, ...]  # of gh; or beginning with "curl"
    text: str
    _: KW_ONLY
    old: str | None = None  # what gh 2.23 writes, where that is something else
    env: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        return f"{self.rule}: {' '.join(self.argv)[:60]}"


def api(rule: str, *argv: str, says: str, status: int = 403) -> Refused:
    return Refused(rule, ("api", *argv), f"gh: Gitward: {says} (HTTP {status})\n")


def graphql(rule: str, query: str, says: str) -> Refused:
    return api(rule, "graphql", "-f", f"query={query}", says=says)


def curl(rule: str, *argv: str, says: str) -> Refused:
    return Refused(rule, ("curl", *argv), says)


def unlisted(method: str, path: str) -> str:
    may = f"it may read {REPOSITORY} and write the texts of its issues and pull requests"
    return f"this session may not use {method} {path}; {may}"


def of_rule(rule: RestRule) -> Refused:
    """A call that the rule allows, with one thing too much."""
    path = "/".join(PLACES.get(part, part) for part in rule.template)
    path = path.replace("{owner}/{name}", REPOSITORY)
    if rule.body:
        says = "the member nope is not allowed in this session"
        return api(rule.name, "-X", rule.method, path, "-f", "nope=1", says=says)
    says = "the parameter access_token is not allowed here in this session"
    return api(rule.name, f"{path}?access_token=1", says=says)


def in_json(message: str) -> str:
    """How gh shows an answer to a GraphQL request of its own that is no 200."""
    quoted = message.replace("'", "'").replace('"', '\\"')
    return f'non-200 OK status code: 403 Forbidden body: "{{\\"message\\": \\"Gitward: {quoted}\\"}}"\n'


def field(name: str) -> str:
    return f"this session may not use the GraphQL field {name}"


USER = "https://api.github.com/user"
TABLE = (
    *map(of_rule, {rule.name: rule for rule in reversed(RULES)}.values()),
    # REST
    api("rest.repository", "repos/octo/other", says=f"this session may only use the REST API of {REPOSITORY}"),
    api("rest.repository", "repositories/7", says=f"this session may only use the REST API of {REPOSITORY}"),
    api("rest.unlisted", "-X", "POST", "user/keys", says=unlisted("POST", "/user/keys")),
    api("rest.pulls.create", f"repos/{REPOSITORY}/pulls", "-f", "title=T", "-f", "head=main", "-f", "base=x",
        says="head must be the session's branch"),
    api("rest.pulls.create", f"repos/{REPOSITORY}/pulls", "-f", "title=T", says="the member head is missing"),
    api("rest.issues.create", "-X", "POST", f"repos/{REPOSITORY}/issues",
        says="the body must be one JSON object in UTF-8"),
    api("rest.abbreviated", f"repos/{REPOSITORY}/commits/abc1234",
        says="a commit must be named by its full id, and a branch or tag whose name looks like the beginning of one by "
        "refs/heads/… or refs/tags/…"),
    Refused("rest.unlisted", ("secret", "list", "-R", REPOSITORY),
            f"failed to get secrets: HTTP 403: Gitward: {unlisted('GET', '/repos/octo/demo/actions/secrets')} "
            "(https://api.github.com/repos/octo/demo/actions/secrets?per_page=100)\n"),
    Refused("rest.unlisted", ("search", "prs", "x"),
            f"HTTP 403: Gitward: {unlisted('GET', '/search/issues')} "
            "(https://api.github.com/search/issues?page=1&per_page=30&q=%28+x+%29+type%3Apr)\n",
            old=f"HTTP 403: Gitward: {unlisted('GET', '/search/issues')} "
            "(https://api.github.com/search/issues?page=1&per_page=30&q=x+type%3Apr)\n"),
    Refused("rest.unlisted", ("repo", "edit", REPOSITORY, "--description", "x"),
            f"HTTP 403: Gitward: {unlisted('PATCH', '/repos/octo/demo')} (https://api.github.com/repos/octo/demo)\n"),
    # GraphQL
    graphql("graphql.malformed", "{viewer{login", "the GraphQL document cannot be read, or is too large"),
    graphql("graphql.operation", "subscription{x}", "only queries and mutations are allowed in this session"),
    graphql("graphql.fragment", "{...f}", "the fragment f is not in the document"),
    graphql("graphql.fragment", f"{{{OWN}{{...on Node{{id}}}}}}",
            "this session may not use a fragment on Node in Repository"),
    graphql("graphql.field", "mutation{mergePullRequest(input:{}){clientMutationId}}",
            field("Mutation.mergePullRequest")),
    graphql("graphql.argument", '{repository(owner:"octo",name:"other"){id}}',
            "Query.repository(name) must be the name of the session's repository"),
    graphql("graphql.argument", '{repository(owner:"octo",name:"demo",x:1){id}}',
            "this session may not use Query.repository(x)"),
    graphql("graphql.limits", "{...f} fragment f on Query{...f}", "the GraphQL document is too large or too deep"),
    graphql("graphql.directive", "{viewer{login@defer}}",
            "only the directives include and skip of fields are allowed"),
    graphql("graphql.id", '{node(id:"R_other"){id}}',
            "R_other is not the id of a Issue or PullRequest or Repository of this repository"),
    Refused("graphql.field", ("gist", "list"), in_json(field("User.gists"))),
    Refused("graphql.argument", ("pr", "list", "-R", "octo/other"),
            "HTTP 403: Gitward: Query.repository(name) must be the name of the session's repository "
            "(https://api.github.com/graphql)\n"),
    Refused("graphql.field", ("repo", "list"),
            f"HTTP 403: Gitward: {field('User.repositories')} (https://api.github.com/graphql)\n"),
    Refused("graphql.field", ("repo", "archive", REPOSITORY, "--yes"), in_json(field("Mutation.archiveRepository"))),
    # what is no request of the API
    api("http.path", f"repos/{REPOSITORY}/../other", says="a path must not have . or .. segments", status=400),
    api("http.path", f"repos/{REPOSITORY}%2f..%2fother", status=400,
        says="a path must not have encoded slashes, percent signs or controls"),
    api("http.path", "/repos//octo/demo", says="a path must not have empty segments (//)", status=400),
    api("http.query", "user?x=\\", says="the query has characters that must be percent-encoded", status=400),
    api("http.body", "-X", "POST", f"repos/{REPOSITORY}/issues", "-F", "title=@long", status=400,
        says="the body of an API request must be at most 524288 bytes"),
    api("http.malformed", "-X", "BREW", "user", says="this is no HTTP/1.1 request", status=400),
    api("http.method", "-X", "PURGE", "user", says="this method is not allowed", status=400),
    api("http.upgrade", "-H", "Upgrade: websocket", "user", status=426,
        says="WebSockets and HTTP/2 are not supported: the broker forwards HTTP/1.1 requests only"),
    api("rest.accept", "-H", "Accept: application/vnd.github.html", f"repos/{REPOSITORY}/readme",
        says=(
            "answers are available as JSON, or as raw, diff, patch or sha (Accept: application/vnd.github.raw), "
            "not as application/vnd.github.html"
        )),
    curl("http.headers", "-H", "Content-Encoding: a", "-H", "Content-Encoding: b", USER,
         says='{"message": "Gitward: the header Content-Encoding must not be repeated"}'),
    curl("http.malformed", "-X", "POST", "-H", "Transfer-Encoding: gzip", "-H", "Content-Length: 0", USER,
         says='{"message": "Gitward: this is no HTTP/1.1 request"}'),
    curl("http.host", "-H", "Host: evil.example", USER,
         says="Gitward: only github.com or api.github.com can be reached, without a trailing dot\n"),
    curl("http.target", "--request-target", "https://api.github.com/user", USER,
         says='{"message": "Gitward: the request target must be a path; no proxy requests"}'),
    curl("http.version", "--http1.0", USER, says='{"message": "Gitward: only HTTP/1.1 is supported"}'),
    curl("http.malformed", "-H", "X: a\x01b", USER, says='{"message": "Gitward: this is no HTTP/1.1 request"}'),
    Refused("credential", ("api", "user"),
            "gh: Gitward: this is not the credential of this session (HTTP 401)\n",
            env=(("GH_TOKEN", "ghp_another"),)),
)  # fmt: skip


def rules_in_source() -> set[str]:
    """Names that the broker's source gives to refusals, and those of the tables."""
    names = {rule.name for rule in RULES}
    for path in Path(gitward.broker.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Name(id="deny" | "PolicyDenied" | "Refused"), args=[ast.Constant(value=str(name)), *_]
                ):
                    names.add(name)
                case ast.Assign(targets=[ast.Name(id="RULE" | "UPGRADE")], value=ast.Constant(value=str(name))):
                    names.add(name)
                case ast.Call(func=ast.Attribute(attr="__init__"), args=[ast.Constant(value=str(name)), *_]):
                    names.add(name)  # of an error that is a PolicyDenied of one rule
    return {name for name in names if not name.startswith(ELSEWHERE)}


def test_every_rule_has_a_row() -> None:
    assert rules_in_source() == {row.rule for row in TABLE} | {
        "expired",  # which has a test of its own
        "writes.own",  # test_own_writes.py
        "model.failing",  # unit/broker/test_breaker.py
    }


@dataclass(frozen=True, kw_only=True)
class Place:
    """A sandbox with its broker. A run tells of a hundred refusals only, so each gh has a run of its own."""

    tools: Inside
    opened: OpenGrant
    events: Events


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def github(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[StandIn]:
    async with populated(tmp_path_factory.mktemp("github")) as github:
        yield github


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def broker(github: StandIn) -> AsyncIterator[Brokers]:
    broker = Brokers(
        BrokerConfig(
            server_url="https://github.com",
            api_url="https://api.github.com",
            upstream_url=github.url,
            upstream_api_url=github.api_url,
        )
    )
    await broker.start()
    yield broker
    await broker.stop()


@asynccontextmanager
async def run_of(broker: Brokers, grant: Grant, home: Path) -> AsyncIterator[Place]:
    events = Events()
    async with inside(home, "github.com", "api.github.com") as tools:
        opened = await broker.open(grant, Secret(TOKEN), events)
        tools.trust(opened)
        (home / "long").write_text("x" * 1_100_000)
        await opened.attach([tools.listener])
        tools.env["GH_TOKEN"] = opened.credential
        yield Place(tools=tools, opened=opened, events=events)
        await opened.close()


async def refuse(place: Place, gh: str, row: Refused) -> str:
    """What the tool wrote."""
    before = dict(place.tools.env)
    place.tools.env |= dict(row.env)
    try:
        if row.argv[0] == "curl":
            credential = f"Authorization: token {place.opened.credential}"
            result = await place.tools.run("curl", "-sS", "--path-as-is", "-H", credential, *row.argv[1:])
            return result.out
        result = await place.tools.run(gh, *row.argv)
        assert result.status == 1, (row, result)
        return result.err
    finally:
        place.tools.env = before


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("gh", BOTH, ids=["2.23", "2.102"])
async def test_each_refusal_is_readable_and_told(broker: Brokers, github: StandIn, tmp_path: Path, gh: str) -> None:
    """And upstream hears nothing, but for gh's own question who it is, and the broker's about a node id."""
    github.requests.clear()
    assert len(TABLE) < 100, "a run tells of no more refusals than that"
    async with run_of(broker, new_grant(), tmp_path / "home") as place:
        texts = [await refuse(place, gh, row) for row in TABLE]
        events = await place.events.wait(len(TABLE))
    wanted = [row.old if row.old is not None and gh == OLD else row.text for row in TABLE]
    wrong = [(row.name, text, want) for row, text, want in zip(TABLE, texts, wanted, strict=True) if text != want]
    assert not wrong, "\n".join(map(str, wrong))
    assert Counter(event.data["rule"] for event in events) == Counter(row.rule for row in TABLE)
    assert {event.type for event in events} == {"policy.denied"}
    assert {request.path for request in github.requests} <= {"/api/graphql"}
    assert not [request for request in github.requests if b"mutation" in request.body]


@pytest.mark.asyncio(loop_scope="module")
async def test_after_its_time_a_session_has_no_access(broker: Brokers, tmp_path: Path) -> None:
    late = dataclasses.replace(new_grant(), run_id="run-2", expires_at=clock.seconds() - 1)
    async with run_of(broker, late, tmp_path / "home") as place:
        for gh in BOTH:
            result = await place.tools.run(gh, "api", "user")
            assert result.err == "gh: Gitward: this session's access to GitHub has ended (HTTP 403)\n"
        events = await place.events.wait(2)
    assert [event.data["rule"] for event in events] == ["expired", "expired"]
