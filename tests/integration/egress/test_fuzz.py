"""Made-up clients against the proxy. An oracle that shares no code with it judges what upstream received."""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from .test_proxy import Names, Rig, Upstream, everything, hello

OPEN, SHUT = "index.test", "shut.test"
HOSTS = [
    OPEN,
    OPEN.upper(),
    SHUT,
    "inside.test",
    "127.0.0.1",
    "github.com",
    f"{OPEN}.",
    f"a.{OPEN}",
    "[::1]",
    f"{OPEN}\t",
    "",
]
LINES = [
    "CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n",
    "CONNECT {host} HTTP/1.0\r\n",
    "CONNECT {host} HTTP/1.1\r\nHost: {other}\r\n",
    "CONNECT {host} HTTP/1.1\nHost: {host}\r\n",
    "GET http://{host}/x HTTP/1.1\r\nHost: {host}\r\n",
    "GET http://{host}/x HTTP/1.1\r\nHost: {other}\r\n",
    "POST http://{host}/x HTTP/1.1\r\nHost: {host}\r\n",
    "GET http://{other}@{host}/x HTTP/1.1\r\nHost: {host}\r\n",
]
HEADERS = [
    "",
    "",
    "",
    "Content-Length: 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Cookie: SECRET\r\n",
    "Host: {other}\r\n",
]
BODIES = [
    hello(OPEN),
    hello(OPEN),
    hello(SHUT),
    hello(None),
    b"GET / HTTP/1.1\r\nHost: shut.test\r\n\r\n",
    b"",
    b"\x16\x03\x01",
]


@dataclass(frozen=True, kw_only=True)
class Client:
    """What one sends: a head, a body, in two pieces, with one bit turned over if `flip` says where."""

    line: str
    host: str
    other: str = SHUT
    headers: str = ""
    body: bytes = b""
    cut: int = 1
    flip: int | None = None

    def pieces(self, port: int) -> tuple[bytes, bytes]:
        head = f"{self.line}{self.headers}\r\n".format(host=f"{self.host}:{port}", other=f"{self.other}:{port}")
        data = bytearray(head.encode() + self.body)
        if self.flip is not None and self.flip < len(data):
            data[self.flip] ^= 1
        return bytes(data[: self.cut]), bytes(data[self.cut :])


CLIENTS = st.builds(
    Client,
    line=st.sampled_from(LINES),
    host=st.sampled_from(HOSTS),
    other=st.sampled_from(HOSTS),
    headers=st.lists(st.sampled_from(HEADERS), max_size=3).map("".join),
    body=st.one_of(st.sampled_from(BODIES), st.binary(max_size=64)),
    cut=st.integers(1, 700),
    flip=st.one_of(st.none(), st.integers(0, 600)),
)


def judged(received: bytes, asked: tuple[str, ...]) -> bool:
    """What may arrive: a TLS hello that has the open host's name where the name stands, or one plain GET of it."""
    if not received:
        return True
    if set(asked) != {OPEN}:
        return False
    if received[:1] == b"\x16":
        return b"\x00\x0aindex.test" in received and SHUT.encode() not in received
    head = received.decode("latin-1").split("\r\n")
    expected = [
        re.fullmatch(r"(GET|HEAD) /[!-~]* HTTP/1\.1", head[0]) is not None,
        head[1].startswith(f"Host: {OPEN}:"),
        head[-3:] == ["Connection: close", "", ""],
    ]
    return all(expected) and "SECRET" not in received.decode("latin-1")


async def run(clients: list[Client]) -> tuple[int, int]:
    """How many went on, and how many were refused."""
    upstream = Upstream()
    upstream.closes = True
    await upstream.start()
    rig = Rig(upstream, Names(index_test=[["127.0.0.1"]], inside_test=[["10.0.0.1"]], shut_test=[["127.0.0.1"]]))
    await rig.start(text=f"{OPEN}:{upstream.port},http://{OPEN}:{upstream.port},inside.test:{upstream.port}")
    forwarded = refused = 0
    try:
        for client in clients:
            for seen in (upstream.received, rig.names.asked, rig.rules):
                seen.clear()
            async with rig.connection() as (reader, writer):
                with contextlib.suppress(ConnectionError):
                    for piece in client.pieces(upstream.port):
                        writer.write(piece)
                        await writer.drain()
                    writer.write_eof()
                await everything(reader)
            assert judged(bytes(upstream.received), tuple(rig.names.asked)), (client, rig.rules)
            forwarded += bool(upstream.received)
            refused += bool(rig.rules)
    finally:
        assert rig.proxy is not None
        await rig.proxy.stop()
        await upstream.stop()
    return forwarded, refused


@settings(max_examples=15)
@given(st.lists(CLIENTS, min_size=20, max_size=20))
def test_nothing_arrives_but_what_is_open(clients: list[Client]) -> None:
    with asyncio.Runner() as runner:
        runner.run(run(clients))


def test_the_oracle_sees_both_sides() -> None:
    """With these clients, one goes on in a tunnel, one plainly, and two are refused; a hole would be seen."""
    tunnel, fronting = (Client(line=LINES[0], host=OPEN, body=hello(name)) for name in (OPEN, SHUT))
    plain, shut = (Client(line=LINES[4], host=host) for host in (OPEN, SHUT))
    with asyncio.Runner() as runner:
        assert runner.run(run([tunnel, fronting, plain, shut])) == (2, 2)
    assert not judged(hello(SHUT), (OPEN,))
    assert not judged(hello(OPEN), (SHUT,))
    assert not judged(b"GET /x HTTP/1.1\r\nHost: index.test:1\r\nCookie: SECRET\r\nConnection: close\r\n\r\n", (OPEN,))
