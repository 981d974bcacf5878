"""Requests that two HTTP implementations could read in two ways, and pushes that no git sends.

One broker and one stand-in serve the whole file; each test sees its own requests and events only.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from gitward_standin import StandIn

from .conftest import TOKEN, new_grant, populated
from .wire import API_HOST, GIT_HOST, Wire, read_answer, wired

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEGABYTE = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Shared:
    wire: Wire
    github: StandIn


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shared]:
    async with (
        populated(tmp_path_factory.mktemp("github")) as github,
        wired(github.url, github.api_url, new_grant(), TOKEN) as wire,
    ):
        yield Shared(wire=wire, github=github)


@pytest.fixture
def wire(shared: Shared) -> Wire:
    shared.wire.events.clear()
    return shared.wire


@pytest.fixture
def github(shared: Shared) -> StandIn:
    shared.github.requests.clear()
    return shared.github


def sent(github: StandIn) -> list[tuple[str, str]]:
    return [(request.method, request.path) for request in github.requests]


async def test_an_honest_request_passes(wire: Wire, github: StandIn) -> None:
    """The twin of all below: with nothing broken it reaches upstream, with the token and without the scopes."""
    answer = await wire.ask("GET /user", "Cookie: a=b", "X-Forwarded-For: 1.2.3.4", "Accept: application/json")
    assert answer.status == 200
    assert b'"login"' in answer.body
    assert not {"x-oauth-scopes", "set-cookie"} & set(answer.headers)
    (request,) = github.requests
    assert request.login == "dev"
    assert {"cookie", "x-forwarded-for"} & set(request.headers) == set()
    assert request.headers["accept"] == "application/json"


@pytest.mark.parametrize(
    "line",
    [
        "GET //user",
        "GET /user/..",
        "GET /./user",
        "GET /%2e%2e/user",
        "GET /repos/octo/demo/../other",
        "GET /repos/octo%2fother",
        "GET /repos%2Focto/demo",
        "GET /repos/octo/demo%00",
        "GET /repos\\octo\\demo",
        "GET http://api.github.test/user",
        "GET https://evil.example/user",
        "GET user",
        "OPTIONS *",
        "CONNECT github.com:443",
        "TRACE /user",
        "BREW /user",
    ],
)
async def test_path_tricks_are_refused(wire: Wire, github: StandIn, line: str) -> None:
    answer = await wire.ask(line)
    assert 400 <= answer.status < 500, answer
    assert answer.body
    assert github.requests == []
    assert (answer.headers["server"], len(await wire.denied(1))) == ("Gitward", 1)


async def test_a_host_has_no_case(wire: Wire) -> None:
    assert (await wire.ask("GET /user", host=API_HOST.upper())).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "api.github.test.", "api.github.test:1", "", "api.github.test@evil.example"],
)
async def test_other_hosts_are_refused(wire: Wire, github: StandIn, host: str) -> None:
    name = f"{host}:{wire.port}" if host and ":" not in host else host
    text = f"GET /user HTTP/1.1\r\nHost: {name}\r\nAuthorization: token {wire.opened.credential}\r\n\r\n"
    answer = await wire.send(text.encode())
    assert 400 <= answer.status < 500, answer
    assert github.requests == []


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([f"Host: {GIT_HOST}"], id="two hosts"),
        pytest.param(["Content-Length: 0", "Content-Length: 5"], id="two lengths"),
        pytest.param(["Content-Length: 0", "content-length: 0"], id="the same length twice"),
        pytest.param(["Content-Length: 5", "Transfer-Encoding: chunked"], id="length and chunked"),
        pytest.param(["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], id="two encodings"),
        pytest.param(["Transfer-Encoding: gzip, chunked"], id="stacked encodings"),
        pytest.param(["Transfer-Encoding: xchunked"], id="almost chunked"),
        pytest.param(["Transfer-Encoding : chunked"], id="space before the colon"),
        pytest.param(["Content-Length: +0"], id="signed length"),
        pytest.param(["Content-Length: 0x0"], id="hexadecimal length"),
        pytest.param(["Authorization: token other"], id="two authorizations"),
        pytest.param([" folded: line"], id="folded line"),
        pytest.param(["X-Null: a\0b"], id="null in a value"),
        pytest.param(["Upgrade: websocket", "Connection: Upgrade"], id="upgrade"),
        pytest.param(["X: y"] * 10_000, id="10,000 headers"),
        pytest.param(["X-Long: " + "y" * 100_000], id="a long header"),
    ],
)
async def test_ambiguous_framing_is_refused(wire: Wire, github: StandIn, headers: list[str]) -> None:
    answer = await wire.ask("GET /user", *headers)
    assert 400 <= answer.status < 500, answer
    assert answer.headers["server"] == "Gitward"
    assert github.requests == []
    assert [rule.partition(".")[0] for rule in await wire.denied(1)] == ["http"]
    assert (await wire.ask("GET /user")).status == 200  # and it is alive


async def test_old_http_is_refused(wire: Wire, github: StandIn) -> None:
    text = (
        f"GET /user HTTP/1.0\r\nHost: {API_HOST}:{wire.port}\r\nAuthorization: token {wire.opened.credential}\r\n\r\n"
    )
    assert (await wire.send(text.encode())).status == 400
    assert (await wire.send(b"GET /user\r\n\r\n")).status in {0, 400}
    assert github.requests == []


async def test_a_smuggled_request_is_not_sent_on(wire: Wire, github: StandIn) -> None:
    """A second request in the body of the first is a body, and a pipelined one is checked like any other."""
    inner = f"GET /repos/octo/other HTTP/1.1\r\nHost: {API_HOST}:{wire.port}\r\n\r\n".encode()
    answer = await wire.ask("GET /user", body=inner)
    assert answer.status == 200
    assert sent(github) == [("GET", "/api/v3/user")]


async def test_the_credential_is_wanted(wire: Wire, github: StandIn) -> None:
    for headers in ([], ["Authorization: token ghp_wrong"], ["Authorization: Basic !"], ["Authorization: "]):
        answer = await wire.ask("GET /user", *headers, auth=False)
        assert answer.status == 401
        assert answer.headers["content-type"].startswith("application/json")
    challenge = await wire.ask("GET /octo/demo/info/refs?service=git-upload-pack", host=GIT_HOST, auth=False)
    assert (challenge.status, challenge.headers["www-authenticate"]) == (401, 'Basic realm="GitHub"')
    assert github.requests == []


def update(ref: str, caps: str = "report-status side-band-64k") -> bytes:
    line = f"{'0' * 40} {'1' * 40} {ref}\0{caps}".encode()
    return b"%04x" % (len(line) + 4) + line


PUSH = "POST /octo/demo.git/git-receive-pack"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"garbage", id="garbage"),
        pytest.param(update("refs/heads/main"), id="no flush"),
        pytest.param(b"0000PACK", id="a pack behind a probe"),
        pytest.param(update("refs/heads/main", "") + b"0000", id="no report asked for"),
        pytest.param(update("r" * 5000) + b"0000", id="a long ref"),
        pytest.param(update("refs/heads/x") * 12_000, id="endless commands"),
    ],
)
async def test_a_push_that_no_git_sends_is_refused(wire: Wire, github: StandIn, body: bytes) -> None:
    answer = await wire.ask(PUSH, host=GIT_HOST, body=body)
    assert answer.status in {400, 403}
    assert answer.body.startswith(b"Gitward: ")
    assert github.requests == []


async def test_a_compressed_push_is_looked_into(wire: Wire, github: StandIn) -> None:
    """gzip is read for the look, and goes on as what was read."""
    refused = await wire.ask(
        PUSH, "Content-Encoding: gzip", host=GIT_HOST, body=gzip.compress(update("refs/heads/main") + b"0000")
    )
    assert (refused.status, b"ng refs/heads/main" in refused.body) == (200, True)
    assert github.requests == []
    two = gzip.compress(b"00") + gzip.compress(update("refs/heads/main") + b"0000")
    assert (await wire.ask(PUSH, "Content-Encoding: gzip", host=GIT_HOST, body=two)).status == 400
    assert (await wire.ask(PUSH, "Content-Encoding: br", host=GIT_HOST, body=b"x")).status == 400
    assert (await wire.ask(PUSH, "Content-Encoding: gzip", host=GIT_HOST, body=b"x")).status == 400
    assert github.requests == []
    content = "Content-Type: application/x-git-receive-pack-request"
    probe = await wire.ask(PUSH, "Content-Encoding: gzip", content, host=GIT_HOST, body=gzip.compress(b"0000"))
    assert probe.status == 200
    assert [request.headers.get("content-encoding") for request in github.requests] == [None]


async def test_expect_continue(wire: Wire) -> None:
    """Granted when the headers are allowed; else the answer is final and no body is asked for."""
    reader, writer = await wire.connect()
    head = f"HTTP/1.1\r\nHost: {GIT_HOST}:{wire.port}\r\nAuthorization: token {wire.opened.credential}\r\n"
    writer.write(f"{PUSH} {head}Content-Length: 5000000\r\nExpect: 100-continue\r\n\r\n".encode())
    async with asyncio.timeout(20):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(update("refs/heads/main") + b"0000")
        answer = await read_answer(reader)
    writer.transport.abort()
    assert b"ng refs/heads/main this session may only push to" in answer.body
    refused = await wire.ask(
        "POST /octo/other/git-receive-pack", "Expect: 100-continue", "Content-Length: 9", host=GIT_HOST
    )
    assert refused.status == 403
    assert (await wire.ask(PUSH, "Expect: 200-ok", "Content-Length: 9", host=GIT_HOST)).status == 400


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (["Content-Type: application/json"], b'{"query":"' + b" " * (2 * MEGABYTE) + b'"}'),
        (["Content-Type: application/json", "Content-Encoding: gzip"], gzip.compress(b'{"query":"{viewer{login}}"}')),
        (["Content-Type: application/x-www-form-urlencoded"], b"query={viewer{login}}"),
        (["Content-Type: application/json"], b'{"query":"{viewer{login}}","query":"mutation{x}"}'),
    ],
    ids=["too long", "compressed", "a form", "a name twice"],
)
async def test_graphql_bodies_are_bounded_and_plain(
    wire: Wire, github: StandIn, headers: list[str], body: bytes
) -> None:
    answer = await wire.ask("POST /graphql", *headers, body=body)
    assert answer.status in {400, 403}
    assert github.requests == []
