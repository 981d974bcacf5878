"""One run attacks its own door; the run next door, at the same time, is not disturbed, and memory stays bounded."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from gitward.broker import BrokerConfig, Brokers, OpenGrant
from gitward.grants.grant import Grant
from gitward.secrets import Secret
from gitward_standin import StandIn

from .conftest import REPOSITORY, TOKEN
from .rig import peak_memory
from .wire import Answer, Told, read_answer

MEGABYTE = 1024 * 1024
CONNECTIONS = 200  # at once; a listener serves 100
GROWTH = 60 * MEGABYTE  # of the broker: 100 connections cost half a megabyte each, nearly all of it buffers of TLS
CALM_SECONDS = (
    15.0  # that a small call of the run next door may take, on a busy machine; an idle connection may last 60
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Door:
    """One run's side of its broker, at a port of this machine's loopback."""

    port: int
    opened: OpenGrant
    told: Told
    ca: Path

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("localhost", self.port, ssl=self.tls, family=socket.AF_INET)

    def head(self, line: str, *headers: str) -> bytes:
        lines = [f"{line} HTTP/1.1", f"Host: localhost:{self.port}", "User-Agent: test"]
        lines += [f"Authorization: token {self.opened.credential}", *headers]
        return "\r\n".join([*lines, "", ""]).encode()

    async def answer(self, *pieces: bytes) -> Answer:
        """What is answered to these bytes; an empty status 0 when the connection just ends."""
        reader, writer = await self.connect()
        async with asyncio.timeout(60):
            reading = asyncio.create_task(read_answer(reader))
            with contextlib.suppress(ConnectionError):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    if reading.done():
                        break
            answer = await reading
        writer.transport.abort()
        return answer


@dataclasses.dataclass(frozen=True, kw_only=True)
class House:
    """Two runs, each with its broker."""

    broker: Brokers
    attacked: Door
    neighbour: Door
    home: Path

    async def clone(self) -> float:
        """Seconds of the slowest small call next door; a git clone works there meanwhile."""
        door = self.neighbour
        remote = f"https://x-access-token:{door.opened.credential}@localhost:{door.port}/{REPOSITORY}.git"
        into = self.home / "clone"
        cloning = asyncio.create_task(self._run("git", "-c", f"http.sslCAInfo={door.ca}", "clone", remote, str(into)))
        taken = [await self._call() for _ in range(8)]
        await cloning
        assert (into / "README.md").exists()
        return max(taken)

    async def _call(self) -> float:
        door = self.neighbour
        authorization = f"Authorization: token {door.opened.credential}"
        out = await self._run(
            *("curl", "--silent", "--show-error", "--fail", "--cacert", str(door.ca), "--max-time", "30"),
            *("--header", authorization, "--output", "/dev/null", "--write-out", "%{time_total}"),
            f"https://localhost:{door.port}/api/v3/user",
        )
        return float(out)

    async def _run(self, *argv: str) -> str:
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.home), "GIT_TERMINAL_PROMPT": "0"}
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*argv, env=environment, stdout=pipe, stderr=pipe)
        async with asyncio.timeout(60):
            out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return out.decode()


@pytest.fixture
async def house(github: StandIn, grant: Grant, tmp_path: Path) -> AsyncIterator[House]:
    with contextlib.ExitStack() as sockets:
        listeners = [sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=256)) for _ in range(2)]
        ports = [int(listener.getsockname()[1]) for listener in listeners]
        config = BrokerConfig(
            server_url=f"https://localhost:{ports[0]}",
            api_url=f"https://localhost:{ports[1]}/api/v3",
            upstream_url=github.url,
            upstream_api_url=github.api_url,
        )
        broker = Brokers(config)
        await broker.start()
        try:
            doors = []
            for number, (port, listener) in enumerate(zip(ports, listeners, strict=True)):
                run = dataclasses.replace(grant, run_id=f"run-{number}")
                told = Told()
                opened = await broker.open(run, Secret(TOKEN), told)
                await opened.attach([listener])
                ca = tmp_path / f"ca-{number}.pem"
                ca.write_bytes(opened.ca_pem)
                doors.append(Door(port=port, opened=opened, told=told, ca=ca))
            yield House(broker=broker, attacked=doors[0], neighbour=doors[1], home=tmp_path)
        finally:
            await broker.stop()


@contextlib.asynccontextmanager
async def undisturbed(house: House) -> AsyncIterator[None]:
    """During the block somebody attacks; the broker does not grow, is not replaced, and serves both afterwards."""
    assert house.attacked.opened.pid is not None
    pid, before = house.attacked.opened.pid, peak_memory(house.attacked.opened.pid)
    yield
    assert house.attacked.opened.pid == pid
    assert house.attacked.opened.restarts == 0
    assert peak_memory(pid) - before < GROWTH
    assert (await house.attacked.answer(house.attacked.head("GET /api/v3/user"))).status == 200


async def connected(door: Door, count: int, first: bytes) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """As many connections as the door takes at once, each with the first bytes written; the others wait outside."""
    taken = await asyncio.gather(*(door.connect() for _ in range(count)))
    for _, writer in taken:
        writer.write(first)
    return list(taken)


PUSH = f"POST /{REPOSITORY}.git/git-receive-pack"


async def test_slow_headers(house: House) -> None:
    """All places are taken by requests whose headers do not end; when one does end, it is answered."""
    door = house.attacked
    async with undisturbed(house):
        whole = door.head("GET /api/v3/user", "X-Slow: a")
        slow = await connected(door, 100, whole[:-2])
        assert await house.clone() < CALM_SECONDS
        reader, writer = slow[0]
        writer.write(whole[-2:])
        async with asyncio.timeout(20):
            assert (await read_answer(reader)).status == 200
        for _, writer in slow:
            writer.transport.abort()


async def test_slow_bodies(house: House) -> None:
    door = house.attacked
    async with undisturbed(house):
        body = b'{"query":"{viewer{login}}"}'
        head = door.head("POST /api/graphql", "Content-Type: application/json", f"Content-Length: {len(body)}")
        slow = await connected(door, 100, head + body[:5])
        assert await house.clone() < CALM_SECONDS
        reader, writer = slow[0]
        writer.write(body[5:])
        async with asyncio.timeout(20):
            assert (await read_answer(reader)).status == 200
        for _, writer in slow:
            writer.transport.abort()


async def test_200_requests_at_once(house: House) -> None:
    """Twice as many as a listener takes: each is answered in the end."""
    request = house.attacked.head("GET /api/v3/user", "Connection: close")
    async with undisturbed(house):
        asking = [asyncio.create_task(house.attacked.answer(request)) for _ in range(CONNECTIONS)]
        assert await house.clone() < CALM_SECONDS
        assert [answer.status for answer in await asyncio.gather(*asking)] == [200] * CONNECTIONS


async def test_large_answers_that_nobody_takes(house: House, github: StandIn) -> None:
    """Each is read whole before it goes on; few are held at the same time, and the others wait."""
    door, pid = house.attacked, house.attacked.opened.pid
    assert pid is not None
    before = peak_memory(pid)
    body = b'{"content":"' + b"a" * (7 * MEGABYTE) + b'"}'
    github.fault(path="*/git/blobs/*", status=200, times=CONNECTIONS, body=body)
    waiting = await connected(door, 50, door.head(f"GET /api/v3/repos/{REPOSITORY}/git/blobs/{'a' * 40}"))
    assert await house.clone() < CALM_SECONDS
    for _, writer in waiting:
        writer.transport.abort()
    assert house.attacked.opened.pid == pid
    assert peak_memory(pid) - before < 8 * 20 * MEGABYTE


async def test_10_000_headers(house: House) -> None:
    many = [f"X-Header-{number}: {number}" for number in range(10_000)]
    async with undisturbed(house):
        asking = [
            asyncio.create_task(house.attacked.answer(house.attacked.head("GET /api/v3/user", *many)))
            for _ in range(10)
        ]
        assert await house.clone() < CALM_SECONDS
        answers = await asyncio.gather(*asking)
    assert {(answer.status, answer.body) for answer in answers} == {
        (400, b'{"message": "Gitward: this is no HTTP/1.1 request"}')
    }


CHUNK = b"%x\r\n%b\r\n" % (64 * 1024, b" " * 64 * 1024)
PKT = b"0035shallow " + b"1" * 40 + b"\n"
Attack = Callable[[Door], Coroutine[Any, Any, Answer]]


async def endless_api_body(door: Door) -> Answer:
    head = door.head("POST /api/graphql", "Content-Type: application/json", "Transfer-Encoding: chunked")
    return await door.answer(head, *[CHUNK] * 800)


async def endless_push_commands(door: Door) -> Answer:
    chunk = b"%x\r\n%b\r\n" % (len(PKT) * 1000, PKT * 1000)
    return await door.answer(door.head(PUSH, "Transfer-Encoding: chunked"), *[chunk] * 800)


async def endless_chunk_extension(door: Door) -> Answer:
    return await door.answer(door.head(PUSH, "Transfer-Encoding: chunked"), b"4;x=", *[b"y" * 64 * 1024] * 800)


async def endless_trailers(door: Door) -> Answer:
    head = door.head(PUSH, "Transfer-Encoding: chunked")
    return await door.answer(head, b"4\r\n0000\r\n0\r\n", *[(b"X-Trailer: " + b"y" * 1000 + b"\r\n") * 60] * 800)


async def endless_header(door: Door) -> Answer:
    return await door.answer(door.head("GET /api/v3/user")[:-2] + b"X-Long: ", *[b"y" * 64 * 1024] * 800)


async def endless_target(door: Door) -> Answer:
    return await door.answer(b"GET /", *[b"y" * 64 * 1024] * 800)


@pytest.mark.parametrize(
    ("attack", "rule"),
    [
        pytest.param(endless_api_body, "http.body", id="body"),
        pytest.param(endless_push_commands, "http.body", id="push commands"),
        pytest.param(endless_chunk_extension, "http.body", id="chunk extension"),
        pytest.param(endless_trailers, "http.body", id="trailers"),
        pytest.param(endless_header, "http.malformed", id="header"),
        pytest.param(endless_target, "http.malformed", id="target"),
    ],
)
async def test_what_does_not_end(house: House, attack: Attack, rule: str) -> None:
    """Five clients each send up to 50 MB of what should be short: refused, and cut off while more is on its way."""
    door = house.attacked
    async with undisturbed(house):
        attacks = [asyncio.create_task(attack(door)) for _ in range(5)]
        assert await house.clone() < CALM_SECONDS
        answers = await asyncio.gather(*attacks)
        await door.told.wait(lambda: len(door.told.rules) >= len(attacks))
    assert {answer.status for answer in answers} <= {400, 0}  # a reset may overtake the answer
    assert set(door.told.rules) == {rule}
