"""One listener alone, with short limits: what hangs is ended, and what is too much waits."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator

import pytest
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import Response, StreamResponse

from gitward.broker.client.authority import issue
from gitward.broker.server.listener import Limits, Listener, Touch
from gitward.broker.server.tls import server_context

HOST = "github.test"
REQUEST = b"POST / HTTP/1.1\r\nHost: github.test\r\nContent-Length: 2\r\n\r\n"

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Served:
    """A listener that answers with the request's body."""

    def __init__(self) -> None:
        self.certificates = issue([HOST], expires_at=2e9)
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.sock.getsockname()[1]
        tls = server_context(self.certificates.leaf_pem.decode(), self.certificates.key_pem.decode())
        limits = Limits(connections=3, idle_seconds=2.0, stall_seconds=2.0)
        self.malformed = asyncio.Event()
        self.listener = Listener(self.sock, tls, self.echo, self.note_malformed, limits)

    async def note_malformed(self) -> None:
        self.malformed.set()

    async def echo(self, request: BaseRequest, touch: Touch) -> StreamResponse:
        body = b""
        while piece := await request.content.readany():
            touch()
            body += piece
        return Response(body=body)

    async def connect(self) -> Connection:
        tls = ssl.create_default_context(cadata=self.certificates.ca_pem.decode())
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=tls, server_hostname=HOST)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    served = Served()
    served.listener.start()
    yield served
    await served.listener.stop()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What comes until the connection ends."""
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionError):
            return await reader.read()
    return b""


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET / HTTP/1.1\r\nX-Slow: a", id="half a header"),
        pytest.param(REQUEST + b"x", id="half a body"),
    ],
)
async def test_what_hangs_is_ended(served: Served, sent: bytes) -> None:
    reader, writer = await served.connect()
    writer.write(sent)
    assert await ended(reader) == b""
    writer.transport.abort()


async def test_a_header_that_drips_is_ended(served: Served) -> None:
    """Bytes alone are no sign of life before a request is whole."""
    reader, writer = await served.connect()
    end = asyncio.create_task(ended(reader))
    writer.write(b"GET / HTTP/1.1\r\n")
    while not end.done():
        with contextlib.suppress(ConnectionError):
            writer.write(b"X-Drip: x\r\n")
            await writer.drain()
        await asyncio.wait([end], timeout=0.05)
    assert await end == b""
    writer.transport.abort()


async def test_a_body_that_goes_on_is_not_ended(served: Served) -> None:
    reader, writer = await served.connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: github.test\r\nContent-Length: 100\r\n\r\n")
    for _ in range(60):  # longer than a connection may stall
        writer.write(b"x")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await reader.readexactly(1)
    writer.transport.abort()


async def test_too_many_wait_for_their_turn(served: Served) -> None:
    """A fourth connection is served when one of the three has ended."""
    first = [await served.connect() for _ in range(3)]
    fourth = asyncio.create_task(served.connect())
    assert await asyncio.wait([fourth], timeout=0.1) == (set(), {fourth})
    first[0][1].transport.abort()
    async with asyncio.timeout(10):
        reader, writer = await fourth
        writer.write(REQUEST + b"ok")
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 OK")
    for _, connection in [*first, (reader, writer)]:
        connection.transport.abort()


async def test_what_is_no_http_is_told(served: Served) -> None:
    reader, writer = await served.connect()
    writer.write(b"\x00garbage\r\n\r\n")
    answer = await ended(reader)
    assert answer.split(b" ")[1] == b"400"
    assert answer.endswith(b'\r\n\r\n{"message": "Gitward: this is no HTTP/1.1 request"}')
    assert b"\r\nServer: Gitward\r\n" in answer
    async with asyncio.timeout(10):
        await served.malformed.wait()
    writer.transport.abort()


async def test_stop_ends_everything(served: Served) -> None:
    reader, writer = await served.connect()
    writer.write(REQUEST + b"x")
    await served.listener.stop()
    assert await ended(reader) == b""
    with pytest.raises(OSError, match="Connect call failed"):
        await served.connect()
    writer.transport.abort()


async def test_who_speaks_no_tls_is_let_go(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    await ended(reader)
    writer.close()
    tls_reader, tls_writer = await served.connect()
    tls_writer.write(REQUEST + b"ok")
    assert (await tls_reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 OK")
    tls_writer.transport.abort()
