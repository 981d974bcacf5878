"""Clients that want to wear the broker out, and an upstream that misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
from collections.abc import AsyncIterator

import pytest

from gitward.grants.grant import Grant
from gitward_standin import StandIn

from .conftest import BRANCH, TOKEN
from .rig import peak_memory
from .wire import API_HOST, GIT_HOST, Wire, read_answer, wired

MEGABYTE = 1024 * 1024
GITS = b"Content-Type: application/x-git-upload-pack-advertisement\r\n"


@pytest.fixture
async def wire(github: StandIn, grant: Grant) -> AsyncIterator[Wire]:
    async with wired(github.url, github.api_url, grant, TOKEN) as wire:
        yield wire


async def test_many_connections_do_not_stop_other_runs(wire: Wire, github: StandIn, grant: Grant) -> None:
    """200 clients of one run that send half a header each; the run next door works, and memory stays."""
    assert wire.opened.pid is not None
    before = peak_memory(wire.opened.pid)
    connecting = {asyncio.create_task(wire.connect()) for _ in range(200)}
    writers: list[asyncio.StreamWriter] = []
    async with asyncio.timeout(30):
        while len(writers) < 100:
            done, connecting = await asyncio.wait(connecting, return_when=asyncio.FIRST_COMPLETED)
            writers += [task.result()[1] for task in done]
    for writer in writers:
        writer.write(b"GET /user HTTP/1.1\r\nX-Slow: ")
    async with wired(github.url, github.api_url, grant, TOKEN) as neighbour:
        assert (await neighbour.ask("GET /user")).status == 200
    for task in connecting:
        task.cancel()
    await asyncio.gather(*connecting, return_exceptions=True)
    for writer in writers:
        writer.transport.abort()
    assert (await wire.ask("GET /user")).status == 200
    assert peak_memory(wire.opened.pid) - before < 40 * MEGABYTE


async def test_events_are_bounded(wire: Wire) -> None:
    reader, writer = await wire.connect()
    head = f"HTTP/1.1\r\nHost: {API_HOST}:{wire.port}\r\nAuthorization: token {wire.opened.credential}\r\n\r\n"
    async with asyncio.timeout(30):
        for number in range(120):
            writer.write(f"GET /nothing/{number} {head}".encode())
            assert (await read_answer(reader)).status == 403
    writer.transport.abort()
    await wire.opened.close()
    assert wire.rules == ["rest.unlisted"] * 100 + ["more"]
    assert wire.events[-1].data["message"] == "20 more requests were refused"


async def test_login_mode_takes_the_token_and_nothing_else(github: StandIn, grant: Grant) -> None:
    async with wired(github.url, github.api_url, grant, TOKEN, login=True) as wire:
        assert (await wire.ask("GET /user", f"Authorization: token {TOKEN}", auth=False)).status == 200
        assert (await wire.ask("GET /repos/octo/other", f"Authorization: token {TOKEN}", auth=False)).status == 403
        assert (await wire.ask("GET /user")).status == 401
        another = TOKEN[:-1] + "x"
        assert (await wire.ask("GET /user", f"Authorization: token {another}", auth=False)).status == 401
    assert [(request.method, request.path) for request in github.requests] == [("GET", "/api/v3/user")]


async def test_a_moved_repository_leads_nowhere_else(wire: Wire, github: StandIn) -> None:
    """Redirects are not followed with the token; a target on another host is left out."""
    path = "/octo/demo.git/info/refs"
    github.fault(path=path, status=301, headers={"Location": f"{github.url}/octo/moved.git/info/refs"})
    github.fault(path=path, status=302, headers={"Location": "https://objects.example/x?signature=secret"})
    request = "GET /octo/demo/info/refs?service=git-upload-pack"
    moved = await wire.ask(request, host=GIT_HOST)
    assert (moved.status, moved.headers["location"]) == (
        301,
        f"https://{GIT_HOST}:{wire.port}/octo/moved.git/info/refs",
    )
    away = await wire.ask(request, host=GIT_HOST)
    assert (away.status, "location" in away.headers) == (302, False)
    assert len(github.requests) == 2


async def test_an_answer_that_echoes_the_token_is_masked(wire: Wire, github: StandIn) -> None:
    echo = f'{{"token": "{TOKEN}", "temp_clone_token": "ABCDEF"}}'.encode()
    headers = {"Content-Type": "application/json", "X-Echo": f"Bearer {TOKEN}"}
    github.fault(path="*/user", status=200, body=echo, headers=headers)
    github.fault(path="*/git-upload-pack", status=500, body=echo, headers=headers)
    for answer in (
        await wire.ask("GET /user"),
        await wire.ask("POST /octo/demo/git-upload-pack", host=GIT_HOST, body=b"0000"),
    ):
        assert TOKEN.encode() not in answer.body
        assert b"ABCDEF" not in answer.body
        assert "x-echo" not in answer.headers


@pytest.mark.parametrize(
    "line",
    ["GET /octo/demo.git/info/refs?service=git-upload-pack", "POST /octo/demo.git/git-upload-pack"],
)
async def test_an_echo_instead_of_gits_own_answer_is_masked(wire: Wire, github: StandIn, line: str) -> None:
    """It is not streamed to git, though upstream calls it a success."""
    github.reflect()
    head = wire.head(line, "Content-Length: 4", host=GIT_HOST)
    answer = await wire.send(head.replace(b"User-Agent: test", b"User-Agent: reflect/200") + b"0000")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json; charset=utf-8")
    assert b"x-access-token" not in answer.body
    assert TOKEN.encode() not in answer.body
    assert "***" in answer.body.decode()
    assert [name for name in answer.headers if name.startswith("x-reflected")] == ["x-reflected-user-agent"]


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (429, {"Retry-After": "30"}),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1795435200", "X-RateLimit-Resource": "core"}),
    ],
)
async def test_rate_limits_reach_the_tools_as_they_are(
    wire: Wire, github: StandIn, status: int, headers: dict[str, str]
) -> None:
    """They know what to do about them; X-OAuth-Scopes is left out here as everywhere."""
    github.fault(path="*/user", status=status, headers={**headers, "X-OAuth-Scopes": "repo"})
    answer = await wire.ask("GET /user")
    assert answer.status == status
    assert {name: answer.headers[name.lower()] for name in headers} == headers
    assert "x-oauth-scopes" not in answer.headers


async def test_upstream_that_cuts_the_connection_is_explained(wire: Wire, github: StandIn) -> None:
    github.fault(path="*/git-upload-pack", status=0)
    answer = await wire.ask("POST /octo/demo/git-upload-pack", host=GIT_HOST, body=b"0000")
    assert answer.status == 502
    assert answer.body.startswith(b"Gitward: GitHub could not be reached")


@pytest.mark.parametrize("framing", [b"Content-Length: 1000", b"Transfer-Encoding: chunked"])
async def test_half_an_answer_is_not_taken_for_a_whole_one(grant: Grant, framing: bytes) -> None:
    """Upstream dies in the middle: the sandbox's connection breaks too, instead of ending well."""

    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n" + GITS + framing + b"\r\n\r\n5\r\nhello\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(half, "127.0.0.1", 0) as upstream:
        url = f"http://127.0.0.1:{upstream.sockets[0].getsockname()[1]}"
        async with wired(url, f"{url}/api/v3", grant, TOKEN) as wire:
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await wire.ask("GET /octo/demo/info/refs?service=git-upload-pack", host=GIT_HOST)
            answer = await wire.ask("GET /user")
            assert answer.status == 502


async def test_an_expiry_in_the_middle_of_an_answer_cuts_it(grant: Grant) -> None:
    """No second answer is written behind the first half."""
    begun = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n" + GITS + b"Content-Length: 100000\r\n\r\nhello")
        begun.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(endless, "127.0.0.1", 0) as upstream:
        url = f"http://127.0.0.1:{upstream.sockets[0].getsockname()[1]}"
        async with wired(url, f"{url}/api/v3", grant, TOKEN, seconds=3.0) as wire:
            reader, writer = await wire.connect()
            writer.write(wire.head("GET /octo/demo/info/refs?service=git-upload-pack", host=GIT_HOST))
            async with asyncio.timeout(20):
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b"hello"
            writer.transport.abort()
    assert begun.is_set()


async def test_a_push_that_breaks_on_its_way_is_not_blamed_on_github(wire: Wire, github: StandIn) -> None:
    """Its head is good, and is forwarded; then the gzip stream ends before its end."""
    update = f"{'1' * 40} {'2' * 40} refs/heads/{BRANCH}\0report-status"
    push = f"{len(update) + 4:04x}{update}0000PACK".encode() + os.urandom(100_000)
    headers = ("Content-Encoding: gzip", "Content-Type: application/x-git-receive-pack-request")
    answer = await wire.ask(
        "POST /octo/demo/git-receive-pack", *headers, host=GIT_HOST, body=gzip.compress(push)[:-100]
    )
    assert (answer.status, answer.body) == (400, b"Gitward: the gzip body ends too early\n")
