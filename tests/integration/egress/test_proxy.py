"""The proxy alone, attacked by bytes that no library would send; what is upstream counts every byte that it gets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from ipaddress import ip_address

import pytest
from aiohttp import web

from company import Company
from gitward.broker.policy.egress.addresses import Address, Reach
from gitward.broker.policy.egress.rules import Policy, parse_rules
from gitward.broker.server.egress.lookup import Lookup
from gitward.broker.server.egress.proxy import Egress, Limits, Proxy
from gitward.broker.server.egress.traffic import Traffic, TrafficLedger
from gitward.broker.server.reporter import Reporter
from gitward.grants import clock, endpoint
from gitward.grants.channel import Message

from .world import serving

MEGABYTE = 1024 * 1024
HOST = "index.test"


class Upstream:
    """A server on loopback that keeps what it is sent, and answers with `answer` when it has got something."""

    def __init__(self) -> None:
        self.connections = 0
        self.received = bytearray()
        self.connected = asyncio.Event()
        self.ended = asyncio.Event()  # a client's end was seen
        self.answer = b"upstream's answer"
        self.closes = False  # after the first answer, as a web server does that was asked to
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, host, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.connected.set()
        with contextlib.suppress(OSError):
            while piece := await reader.read(65536):
                self.received += piece
                writer.write(self.answer)
                await writer.drain()
                if self.closes:
                    break
            self.ended.set()
            writer.write(b"" if self.closes else b" and farewell")
            writer.close()
            await writer.wait_closed()
        self.ended.set()


class Names:
    """A resolver whose answers change: the first list for the first question, and so on; the last one stays."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = {name.replace("_", "."): lists for name, lists in answers.items()}
        self.asked: list[str] = []

    async def resolve(self, host: str) -> list[Address]:
        self.asked.append(host)
        lists = self.answers.get(host)
        if lists is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        texts = lists.pop(0) if len(lists) > 1 else lists[0]
        return [ip_address(text) for text in texts]


@dataclass
class Rig:
    """A proxy with everything open on the upstream's port."""

    upstream: Upstream
    names: Names
    rules: list[str] = field(default_factory=list)  # that refused
    messages: list[str] = field(default_factory=list)
    port: int = 0
    proxy: Proxy | None = None
    ledger: TrafficLedger | None = None
    opened: list[str] = field(default_factory=list)  # hosts that were reached

    async def tell(self, message: Message) -> None:
        event = message["event"]
        if event["type"] == "egress.opened":
            self.opened.append(f"{event['data']['host']}:{event['data']['port']}")
            return
        self.rules.append(event["data"]["rule"])
        self.messages.append(event["data"]["message"])

    async def traffic(self) -> Traffic:
        """To the usual host; one connection too many, as this asks for one more."""
        assert self.ledger is not None
        return await self.ledger.open(HOST, self.upstream.port)

    async def start(
        self,
        *,
        limits: Limits | None = None,
        seconds: float = 60,
        own: str = "",
        text: str = "",
        held: Callable[[], bool] = lambda: True,
    ) -> None:
        port = self.upstream.port
        sock = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = sock.getsockname()[1]
        reach = Reach(trusted=["127.0.0.1"])
        upstreams = [endpoint.Address(host=own, port=port)] if own else []
        reporter = Reporter("run-1", self.tell)
        self.ledger = TrafficLedger("run-1", reporter)
        egress = Egress(
            policy=Policy(parse_rules(text or f"*:{port},http://*:{port}"), own=["ghe.test"]),
            lookup=Lookup(self.names, reach, own=upstreams),
            reporter=reporter,
            ledger=self.ledger,
            expires_at=clock.seconds() + seconds,
        )
        self.proxy = Proxy(sock, egress, limits, held=held)
        self.proxy.start()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            async with asyncio.timeout(30):
                yield reader, writer
        finally:
            writer.transport.abort()

    async def send(self, data: bytes) -> bytes:
        """All that comes back."""
        async with self.connection() as (reader, writer):
            writer.write(data)
            return await everything(reader)

    def connect(self, host: str = HOST, *headers: str, version: str = "1.1", port: int | None = None) -> bytes:
        target = f"{host}:{self.upstream.port if port is None else port}"
        lines = [f"CONNECT {target} HTTP/{version}", f"Host: {target}", *headers, "", ""]
        return "\r\n".join(lines).encode()

    @contextlib.asynccontextmanager
    async def tunnel(self, host: str = HOST) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        async with self.connection() as (reader, writer):
            writer.write(self.connect(host))
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 200 Connection established\r\n\r\n"
            yield reader, writer


async def everything(reader: asyncio.StreamReader) -> bytes:
    """What comes until the connection ends, or breaks."""
    data = bytearray()
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65536):
            data += piece
    return bytes(data)


def hello(name: str | None = HOST) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    out = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name).do_handshake()
    return out.read()


ALERT = bytes((21, 3, 3, 0, 2, 2, 49))


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    upstream = Upstream()
    await upstream.start()
    yield upstream
    await upstream.stop()


@pytest.fixture
async def rig(upstream: Upstream) -> AsyncIterator[Rig]:
    rig = Rig(upstream, Names(index_test=[["127.0.0.1"]]))
    yield rig
    if rig.proxy is not None:
        await rig.proxy.stop()


async def test_a_tunnel(rig: Rig) -> None:
    """What all below take apart."""
    await rig.start()
    async with rig.tunnel() as (reader, writer):
        writer.write(hello())
        assert await reader.readexactly(17) == b"upstream's answer"
    assert bytes(rig.upstream.received) == hello() or len(rig.upstream.received) > 200
    assert rig.rules == []


async def test_an_old_client_names_its_host_once(rig: Rig) -> None:
    """Python's http.client, and so pip, speaks HTTP/1.0 to a proxy, without a Host header."""
    await rig.start()
    async with rig.connection() as (reader, writer):
        writer.write(f"CONNECT {HOST}:{rig.upstream.port} HTTP/1.0\r\n\r\n".encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::1]",
        "2130706433",
        "0x7f.1",
        "localhost",
        "index.test.",
        "github.com",
        "API.GitHub.com",
        "ghe.test",
    ],
)
async def test_hosts_that_are_never_connected_to(rig: Rig, host: str) -> None:
    await rig.start()
    answer = await rig.send(rig.connect(host))
    assert answer.split(b" ")[1] in {b"400", b"403"}
    assert answer.split(b"\r\n")[0].split(b" ", 2)[2].startswith(b"Gitward: ")
    assert (rig.names.asked, rig.upstream.connections, len(rig.rules)) == ([], 0, 1)


@pytest.mark.parametrize(
    "addresses",
    [
        ["10.0.0.1"],
        ["127.0.0.2"],
        ["::1"],
        ["169.254.169.254"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["10.0.0.1", "fd00::1"],
    ],
)
async def test_names_that_lead_inside_are_refused(rig: Rig, addresses: list[str]) -> None:
    rig.names.answers["inside.test"] = [addresses]
    await rig.start()
    answer = await rig.send(rig.connect("inside.test"))
    assert answer.startswith(b"HTTP/1.1 403 Gitward: inside.test has no public address")
    assert (rig.rules, rig.upstream.connections) == (["egress.address"], 0)


async def test_of_public_and_private_addresses_only_the_public_are_tried(rig: Rig) -> None:
    rig.names.answers["both.test"] = [["10.0.0.1", "127.0.0.2", "127.0.0.1"]]
    await rig.start()
    async with rig.tunnel("both.test"):
        await rig.upstream.connected.wait()


async def test_a_name_that_changes_after_the_check_is_not_asked_again(rig: Rig) -> None:
    """DNS rebinding: the second answer would be another machine, and a server waits there."""
    trap = Upstream()
    await trap.start("127.0.0.2", rig.upstream.port)
    try:
        rig.names.answers["rebind.test"] = [["127.0.0.1"], ["127.0.0.2"]]
        await rig.start()
        async with rig.tunnel("rebind.test") as (reader, writer):
            writer.write(hello("rebind.test"))
            assert await reader.readexactly(17) == b"upstream's answer"
        assert rig.names.asked == ["rebind.test"]
        # The next tunnel is a new question with a new answer, and is judged by that.
        answer = await rig.send(rig.connect("rebind.test"))
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert (trap.connections, rig.rules) == (0, ["egress.address"])
    finally:
        await trap.stop()


async def test_another_name_for_githubs_address_is_refused(rig: Rig) -> None:
    await rig.start(own="127.0.0.1")
    answer = await rig.send(rig.connect())
    assert answer.startswith(b"HTTP/1.1 403 Gitward: index.test has the same address as a host of GitHub")
    assert (rig.rules, rig.upstream.connections) == (["egress.github"], 0)


async def test_githubs_names_are_looked_up_for_that(rig: Rig) -> None:
    rig.names.answers["ghe.test"] = [["127.0.0.1"]]
    await rig.start(own="ghe.test")
    for _ in range(2):
        assert b" 403 " in await rig.send(rig.connect())
    assert rig.names.asked == ["index.test", "ghe.test", "index.test"]  # it is remembered


async def test_what_has_no_address_or_does_not_answer_is_told(rig: Rig) -> None:
    await rig.start(text="*")
    answer = await rig.send(rig.connect("nowhere.test", port=443))
    assert answer.startswith(b"HTTP/1.1 502 Gitward: the name nowhere.test could not be resolved\r\n")
    with socket.create_server(("127.0.0.1", 0)) as sock:
        closed = sock.getsockname()[1]
    assert rig.proxy is not None
    await rig.proxy.stop()
    await rig.start(text=f"*:{closed}")
    answer = await rig.send(rig.connect(port=closed))
    assert answer.startswith(f"HTTP/1.1 502 Gitward: index.test:{closed} could not be reached".encode())
    assert rig.rules == []


@pytest.mark.parametrize(
    "head",
    [
        pytest.param("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\n\r\nhello", id="a body"),
        pytest.param(
            "CONNECT {host} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="chunked"
        ),
        pytest.param(
            "CONNECT {host} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nContent-Length: 7\r\n\r\n",
            id="two lengths",
        ),
        pytest.param("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding : chunked\r\n\r\n", id="a space"),
        pytest.param("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n folded\r\n\r\n", id="a folded line"),
        pytest.param("CONNECT {host} HTTP/1.1\r\nHost: {host}\nX: y\r\n\r\n", id="a bare line feed"),
        pytest.param("CONNECT {host} HTTP/1.1\r\nHost: {host}\rX: y\r\n\r\n", id="a bare carriage return"),
        pytest.param("CONNECT {host} HTTP/1.1\r\nHost: evil.test\r\n\r\n", id="another Host"),
        pytest.param("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n", id="Host twice"),
        pytest.param("CONNECT {host} HTTP/1.1\r\n\r\n", id="no Host"),
        pytest.param("CONNECT {host} HTTP/2\r\nHost: {host}\r\n\r\n", id="another version"),
        pytest.param("CONNECT {host}\r\n\r\n", id="no version"),
        pytest.param("CONNECT  {host} HTTP/1.1\r\nHost: {host}\r\n\r\n", id="two spaces"),
        pytest.param("CONNECT\t{host} HTTP/1.1\r\nHost: {host}\r\n\r\n", id="a tab"),
        pytest.param("connect {host} HTTP/1.1\r\nHost: {host}\r\n\r\n", id="small letters"),
        pytest.param("CONNECT index.test HTTP/1.1\r\nHost: index.test\r\n\r\n", id="no port"),
        pytest.param("CONNECT index.test:0 HTTP/1.1\r\nHost: index.test:0\r\n\r\n", id="port zero"),
        pytest.param("CONNECT index.test:99999 HTTP/1.1\r\nHost: index.test:99999\r\n\r\n", id="a port too high"),
        pytest.param("CONNECT a@{host} HTTP/1.1\r\nHost: {host}\r\n\r\n", id="a user"),
        pytest.param("CONNECT https://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n", id="CONNECT with a URL"),
        pytest.param("GET https://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n", id="https without CONNECT"),
        pytest.param("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n", id="no proxy request"),
        pytest.param("OPTIONS * HTTP/1.1\r\nHost: {host}\r\n\r\n", id="OPTIONS *"),
        pytest.param("GET http://{host}/ HTTP/1.1\r\nHost: evil.test\r\n\r\n", id="a URL and another Host"),
        pytest.param(
            "GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\nContent-Length: 3\r\n\r\nGET", id="GET with a body"
        ),
        pytest.param("GET http://{host}/ HTTP/1.0\r\nHost: {host}\r\n\r\n", id="old HTTP"),
        pytest.param("GET http://{host}\\@evil.test/ HTTP/1.1\r\nHost: {host}\r\n\r\n", id="two hosts in a URL"),
        pytest.param("GET http://u:p@{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n", id="a user in a URL"),
        pytest.param("GET http://{host}/#x HTTP/1.1\r\nHost: {host}\r\n\r\n", id="a fragment"),
        pytest.param("GET gopher://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n", id="another scheme"),
        pytest.param("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n" + "X: y\r\n" * 200 + "\r\n", id="200 headers"),
        pytest.param("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\nX: " + "y" * 200_000 + "\r\n\r\n", id="a long header"),
        pytest.param("\x16\x03\x01\x02\x00\r\n\r\n", id="TLS to the proxy"),
    ],
)
async def test_what_two_readers_could_take_for_two_things_is_refused(rig: Rig, head: str) -> None:
    await rig.start()
    answer = await rig.send(head.format(host=f"{HOST}:{rig.upstream.port}").encode("latin-1"))
    assert answer.startswith(b"HTTP/1.1 400 Gitward: "), answer
    assert (rig.rules, rig.upstream.connections) == (["http.malformed"], 0)
    async with rig.tunnel():  # it is alive
        pass


async def test_a_hello_may_follow_at_once(rig: Rig) -> None:
    await rig.start()
    async with rig.connection() as (reader, writer):
        writer.write(rig.connect() + hello())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert await reader.readexactly(17) == b"upstream's answer"


async def test_a_request_behind_connect_is_no_request(rig: Rig) -> None:
    """What is pipelined is the tunnel's, and no TLS: nothing of it goes on."""
    await rig.start()
    answer = await rig.send(rig.connect() + b"GET http://index.test/ HTTP/1.1\r\nHost: index.test\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 403 Gitward: only TLS goes through")
    assert (rig.rules, bytes(rig.upstream.received)) == (["egress.tls"], b"")


async def test_a_hello_in_single_bytes(rig: Rig) -> None:
    await rig.start()
    async with rig.tunnel() as (reader, writer):
        for byte in hello():
            writer.write(bytes([byte]))
            await writer.drain()
        assert await reader.readexactly(17) == b"upstream's answer"


@pytest.mark.parametrize(
    ("sent", "rule"),
    [
        pytest.param(hello("evil.test"), "egress.sni", id="domain fronting"),
        pytest.param(hello("github.com"), "egress.sni", id="GitHub behind another name"),
        pytest.param(hello("index.test.evil.test"), "egress.sni", id="a longer name"),
        pytest.param(hello(None), "egress.sni", id="no name"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", "egress.tls", id="ssh"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", "egress.tls", id="http"),
        pytest.param(b"\0", "egress.tls", id="a byte"),
        pytest.param(bytes(70_000), "egress.tls", id="zeros"),
    ],
)
async def test_in_a_tunnel_only_tls_to_its_host_goes_on(rig: Rig, sent: bytes, rule: str) -> None:
    await rig.start()
    async with rig.tunnel() as (reader, writer):
        writer.write(sent)
        answer = await everything(reader)
    assert answer == ALERT or answer.startswith(b"HTTP/1.1 403 Gitward: only TLS")
    await rig.upstream.ended.wait()
    assert (rig.rules, bytes(rig.upstream.received)) == ([rule], b"")


RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
HELLO_RETRY = b"\x16\x03\x03\x00\x2c\x02\x00\x00\x28\x03\x03" + RETRY + b"\0" + b"\x13\x01" + b"\0" + b"\0\0"
CHANGE_CIPHER_SPEC = bytes((20, 3, 3, 0, 1, 1))


@pytest.mark.parametrize("before", [b"", CHANGE_CIPHER_SPEC])
async def test_a_second_hello_cannot_ask_for_another_host(rig: Rig, before: bytes) -> None:
    """Servers may ask for another hello, and may then look at the name in that one."""
    rig.upstream.answer = HELLO_RETRY
    await rig.start()
    async with rig.tunnel() as (reader, writer):
        writer.write(hello())
        assert await reader.readexactly(len(HELLO_RETRY)) == HELLO_RETRY
        first = len(rig.upstream.received)
        writer.write(before + hello("evil.test"))
        assert await everything(reader) == ALERT
    await rig.upstream.ended.wait()
    assert (rig.rules, len(rig.upstream.received)) == (["egress.sni"], first)


async def test_a_second_hello_for_the_same_host_goes_on(rig: Rig, company: Company) -> None:
    """A real handshake with a server that wants another key share."""
    context = company.context(HOST)
    context.set_ecdh_curve("secp384r1")
    async with serving(web.Application(), context) as port:
        await rig.start(text=f"*:{port}")
        async with rig.connection() as (reader, writer):
            writer.write(rig.connect(port=port))
            await reader.readuntil(b"\r\n\r\n")
            trust = ssl.create_default_context(cafile=str(company.ca_file))
            await writer.start_tls(trust, server_hostname=HOST)
            writer.write(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 404")


async def test_clients_that_wait_are_ended(rig: Rig) -> None:
    """Half a head, half a hello, and a tunnel in which nothing moves."""
    await rig.start(limits=Limits(head_seconds=1.0, idle_seconds=1.0))
    assert await rig.send(b"CONNECT index") == b""
    async with rig.tunnel() as (reader, writer):
        writer.write(hello()[:50])
        assert await everything(reader) == b""
    async with rig.tunnel() as (reader, writer):
        writer.write(hello())
        assert await everything(reader) == b"upstream's answer"
    assert rig.rules == []


async def test_bytes_that_drip_do_not_prolong_a_head(rig: Rig) -> None:
    await rig.start(limits=Limits(head_seconds=0.5))
    async with rig.connection() as (reader, writer):
        end = asyncio.create_task(everything(reader))
        writer.write(b"CONNECT index.test:443 HTTP/1.1\r\n")
        while not end.done():
            with contextlib.suppress(ConnectionError):
                writer.write(b"X: y\r\n")
                await writer.drain()
            await asyncio.wait([end], timeout=0.05)
        assert await end == b""


async def test_a_tunnel_that_moves_is_not_ended(rig: Rig) -> None:
    await rig.start(limits=Limits(idle_seconds=1.5))
    async with rig.tunnel() as (reader, writer):
        writer.write(hello())
        for _ in range(12):
            assert await reader.readexactly(17) == b"upstream's answer"
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await reader.readexactly(1)
            writer.write(b"more")


async def test_200_tunnels_at_once(rig: Rig) -> None:
    """All are served, with 64 at a time; then nothing is left."""
    await rig.start(limits=Limits(connections=64))

    async def one() -> bytes:
        async with rig.connection() as (reader, writer):
            writer.write(rig.connect() + hello())
            await reader.readuntil(b"\r\n\r\n")
            return await reader.readexactly(17)

    assert await asyncio.gather(*(one() for _ in range(200))) == [b"upstream's answer"] * 200
    assert rig.upstream.connections == 200


async def test_stop_ends_every_tunnel(rig: Rig) -> None:
    await rig.start()
    async with rig.tunnel() as (reader, writer), rig.tunnel() as (idle, _):
        writer.write(hello())
        await reader.readexactly(17)
        assert rig.proxy is not None
        await rig.proxy.stop()
        assert await everything(reader) + await everything(idle) == b""
    await rig.upstream.ended.wait()


async def test_a_grant_that_expires_ends_its_tunnels(rig: Rig) -> None:
    await rig.start(seconds=2.0)
    async with rig.tunnel() as (reader, writer):
        writer.write(hello())
        assert await everything(reader) == b"upstream's answer"
    assert await rig.send(rig.connect()) == b""


async def test_without_the_workers_lease_nothing_is_asked(rig: Rig) -> None:
    held = True
    await rig.start(held=lambda: held)
    async with rig.tunnel():
        pass
    held = False
    assert await rig.send(rig.connect()) == b""
    assert rig.upstream.connections == 1


async def test_half_a_close_leaves_the_other_half(rig: Rig) -> None:
    """The client has said all and still listens."""
    await rig.start()
    async with rig.tunnel() as (reader, writer):
        writer.write(hello())
        writer.write_eof()
        assert await everything(reader) == b"upstream's answer and farewell"


async def test_a_long_answer_waits_for_its_reader(rig: Rig) -> None:
    """Of 64 MB that upstream has, only what buffers hold leaves it while nobody reads; then all of it comes."""
    rig.upstream.answer = bytes(64 * MEGABYTE)
    await rig.start()
    async with rig.tunnel() as (reader, writer):
        writer.write(hello())
        await reader.readexactly(1)
        traffic = await rig.traffic()
        taken = -1
        while taken != traffic.received:  # until it stands still
            taken = traffic.received
            await asyncio.sleep(0.1)
        assert taken < 16 * MEGABYTE
        left = 64 * MEGABYTE - 1
        while left:
            left -= len(await reader.read(min(left, MEGABYTE)))
    assert traffic.received == 64 * MEGABYTE


async def test_bytes_are_counted_and_hosts_told(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    await rig.start()
    sent = hello()
    received = b""
    for _ in range(2):
        async with rig.tunnel() as (reader, writer):
            writer.write(sent)
            received += await reader.readexactly(1)
            writer.write(b"12345")
            writer.write_eof()
            received += await everything(reader)
    assert rig.opened == [f"{HOST}:{rig.upstream.port}"]
    assert rig.ledger is not None
    caplog.set_level("INFO")
    rig.ledger.close()
    assert caplog.messages == [
        f"Run run-1: egress to {HOST}:{rig.upstream.port}: 2 connections, "
        f"{2 * len(sent) + 10} bytes sent, {len(received)} received"
    ]


async def test_hosts_without_number_are_counted_together(rig: Rig) -> None:
    await rig.start()
    assert rig.ledger is not None
    for number in range(150):
        await rig.ledger.open(f"h{number}.test", 443)
    assert len(rig.opened) == 100
    assert (await rig.ledger.open("one-more.test", 443)).connections == 51


def plain(rig: Rig, line: str = "GET", *headers: str, path: str = "/pool/x.deb") -> bytes:
    host = f"{HOST}:{rig.upstream.port}"
    return "\r\n".join([f"{line} http://{host}{path} HTTP/1.1", f"Host: {host}", *headers, "", ""]).encode()


async def test_a_plain_request_is_written_anew(rig: Rig) -> None:
    rig.upstream.answer, rig.upstream.closes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", True
    await rig.start()
    secrets = ["Authorization: Basic eDp5", "Cookie: a=b", "Proxy-Authorization: Basic x", "Connection: keep-alive"]
    async with rig.connection() as (reader, writer):
        writer.write(plain(rig, "GET", "User-Agent: apt", "Range: bytes=5-", "X-Http-Method-Override: PUT", *secrets))
        assert await everything(reader) == rig.upstream.answer
    assert bytes(rig.upstream.received).decode().split("\r\n") == [
        "GET /pool/x.deb HTTP/1.1",
        f"Host: {HOST}:{rig.upstream.port}",
        "User-Agent: apt",
        "Range: bytes=5-",
        "Connection: close",
        "",
        "",
    ]


async def test_a_second_plain_request_on_a_connection_does_not_go_on(rig: Rig) -> None:
    rig.upstream.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    await rig.start(limits=Limits(idle_seconds=0.5))
    await rig.send(plain(rig) + b"PUT http://index.test/ HTTP/1.1\r\nHost: index.test\r\n\r\n")
    assert bytes(rig.upstream.received).count(b"HTTP/1.1") == 1
    assert b"PUT" not in rig.upstream.received


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "TRACE", "PROPFIND"])
async def test_plain_http_only_reads(rig: Rig, method: str) -> None:
    await rig.start()
    answer = await rig.send(plain(rig, method))
    assert answer.startswith(b"HTTP/1.1 403 Gitward: over plain HTTP only GET and HEAD are allowed; use https\r\n")
    assert (rig.rules, rig.upstream.connections) == (["egress.http"], 0)


async def test_a_tunnels_port_is_not_open_plainly(rig: Rig) -> None:
    await rig.start(text=f"*:{rig.upstream.port}")
    answer = await rig.send(plain(rig))
    assert answer.startswith(b"HTTP/1.1 403 Gitward: on index.test, only this is open: *:")
    assert (rig.rules, rig.upstream.connections) == (["egress.port"], 0)
    assert rig.messages[0].startswith(f"GET index.test:{rig.upstream.port}/pool/x.deb: on index.test, only")
