"""Bytes to the broker as a hostile client would write them, without any HTTP library in between."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import warm_parents
from gitward.broker import BrokerConfig, BrokerEvent, Brokers, InjectConfig, OpenGrant
from gitward.grants import clock
from gitward.grants.grant import Grant
from gitward.secrets import Secret

GIT_HOST = "github.test"
API_HOST = "api.github.test"


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes


class Told(list[BrokerEvent]):
    """What the broker told; `more` is set by each event."""

    def __init__(self) -> None:
        super().__init__()
        self.more = asyncio.Event()

    def __call__(self, event: BrokerEvent) -> None:
        self.append(event)
        self.more.set()

    @property
    def rules(self) -> list[str]:
        """The rules that refused something, in order."""
        return [event.data["rule"] for event in self if event.type == "policy.denied"]

    async def wait(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not done():
                self.more.clear()
                await self.more.wait()


class Wire:
    """One broker whose hosts are at a port of this machine's loopback."""

    def __init__(self, broker: Brokers, opened: OpenGrant, port: int, events: Told) -> None:
        self.broker = broker
        self.opened = opened
        self.port = port
        self.events = events
        self._tls = ssl.create_default_context(cadata=opened.ca_pem.decode())

    @property
    def rules(self) -> list[str]:
        return self.events.rules

    def cpu(self) -> float:
        """Seconds that the broker's process has worked so far, in the kernel too."""
        assert self.opened.pid is not None
        return time.clock_gettime(~self.opened.pid << 3 | 2)  # clock_getcpuclockid(3), which Python does not have

    async def denied(self, count: int) -> list[str]:
        """The rules, once there are `count` of them: an event may come after the answer."""
        await self.events.wait(lambda: len(self.rules) >= count)
        return self.rules

    async def told(self, count: int) -> list[BrokerEvent]:
        """All events, once there are `count` of them."""
        await self.events.wait(lambda: len(self.events) >= count)
        return self.events

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=self._tls, server_hostname=GIT_HOST)

    async def send(self, data: bytes, *, bodiless: bool = False) -> Answer:
        """One exchange on a connection of its own. An empty status 0 stands for a connection that was only closed."""
        reader, writer = await self.connect()
        try:
            async with asyncio.timeout(20):
                writer.write(data)
                return await read_answer(reader, bodiless=bodiless)
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def head(self, line: str, *headers: str, host: str = API_HOST, auth: bool = True) -> bytes:
        """A request's head, well-formed but for what the arguments break."""
        lines = [f"{line} HTTP/1.1", f"Host: {host}:{self.port}", "User-Agent: test"]
        if auth:
            lines.append(f"Authorization: token {self.opened.credential}")
        return "\r\n".join([*lines, *headers, "", ""]).encode("latin-1")

    async def ask(self, line: str, *headers: str, host: str = API_HOST, body: bytes = b"", auth: bool = True) -> Answer:
        """One request, with the length of its body unless `headers` say something about that."""
        framed = any(header.lower().startswith(("content-length", "transfer-encoding")) for header in headers)
        length = [f"Content-Length: {len(body)}"] if body and not framed else []
        return await self.send(
            self.head(line, *headers, *length, host=host, auth=auth) + body, bodiless=line.startswith("HEAD ")
        )


async def read_answer(reader: asyncio.StreamReader, *, bodiless: bool = False) -> Answer:
    """The final answer; a 100 before it is skipped. `bodiless`: it answers a HEAD."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return Answer(status=0, headers={}, body=b"")
    first, *rest = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    status = int(first.split()[1])
    if status == 100:
        return await read_answer(reader, bodiless=bodiless)
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
    if bodiless:
        return Answer(status=status, headers=headers, body=b"")
    if headers.get("transfer-encoding") == "chunked":
        return Answer(status=status, headers=headers, body=await _chunks(reader))
    return Answer(status=status, headers=headers, body=await reader.readexactly(int(headers["content-length"])))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    return body


@contextlib.asynccontextmanager
async def wired(
    upstream: str,
    upstream_api: str,
    grant: Grant,
    token: str,
    *,
    login: bool = False,
    inject: Sequence[InjectConfig] = (),
    program: Sequence[str] | None = None,
    seconds: float | None = None,
) -> AsyncIterator[Wire]:
    """A broker process of its own, with `grant` open and listening; for so long, from when there is a process.

    :param program: of the brokers' parent; a test that is about the parent itself needs the product's, `PROGRAM`.
    :param inject: at the port of this machine, whatever they say, and with the token as their secret.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        port = listener.getsockname()[1]
        broker = Brokers(
            BrokerConfig(
                server_url=f"https://{GIT_HOST}:{port}",
                api_url=f"https://{API_HOST}:{port}",
                upstream_url=upstream,
                upstream_api_url=upstream_api,
                login_mode=login,
                inject=tuple(dataclasses.replace(each, port=port) for each in inject),
            ),
            program=program or warm_parents.program(),
        )
        await broker.start()
        events = Told()
        if seconds is not None:
            grant = dataclasses.replace(grant, expires_at=clock.seconds() + seconds)
        try:
            opened = await broker.open(grant, Secret(token), events, injected=[Secret(token) for _ in inject])
            await opened.attach([listener])
            yield Wire(broker, opened, port, events)
        finally:
            await broker.stop()
