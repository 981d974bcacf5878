"""The HTTP proxy of one run, on one listening socket of its sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from gitward.broker.policy.egress.addresses import Address
from gitward.broker.policy.egress.client_hello import NotTls
from gitward.broker.policy.egress.rules import Policy, Way
from gitward.broker.policy.verdict import Verdict, deny
from gitward.broker.server.egress.handshake import shake_hands
from gitward.broker.server.egress.lookup import Lookup, Unreachable
from gitward.broker.server.egress.next_proxy import connect_through
from gitward.broker.server.egress.request import ProxyRequest, read_request
from gitward.broker.server.egress.traffic import TrafficLedger
from gitward.broker.server.egress.tunnel import BUFFER, Peer, drain, join
from gitward.broker.server.reporter import Reporter
from gitward.errors import PolicyDenied
from gitward.grants import clock
from gitward.web_proxy import Route

log = logging.getLogger(__name__)

_TRIED = 4  # addresses of one host
_ALERT = bytes((21, 3, 3, 0, 2, 2, 49))  # TLS: fatal, access_denied
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one listener bears."""

    connections: int = 128  # at once; more wait in the kernel's queue
    head_seconds: float = 15.0  # until the request is whole, and again until both sides have begun with TLS
    connect_seconds: float = 10.0  # for each address
    idle_seconds: float = 600.0  # without a byte in either direction


@dataclass(frozen=True, kw_only=True)
class Egress:
    """What the proxies of one run share."""

    policy: Policy
    lookup: Lookup
    reporter: Reporter
    ledger: TrafficLedger
    expires_at: float  # on `grants.clock`; then every tunnel ends
    route: Route = field(default_factory=Route)


class Proxy:
    """Serves one socket from `start` to `stop`."""

    def __init__(
        self,
        sock: socket.socket,
        egress: Egress,
        limits: Limits | None = None,
        *,
        held: Callable[[], bool] = lambda: True,
        closed: Callable[[], Verdict | None] = lambda: None,
    ) -> None:
        """Requests are answered while the worker's lease is `held`; by the refusal that `closed` gives, if any."""
        sock.setblocking(False)
        self._sock = sock
        self._egress = egress
        self._limits = limits or Limits()
        self._held = held
        self._closed = closed
        self._slots = asyncio.Semaphore(self._limits.connections)
        self._connections: set[asyncio.Task[None]] = set()
        self._accepting: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._accepting = asyncio.create_task(self._accept())

    async def stop(self) -> None:
        """After it returned every connection is closed."""
        tasks = [*self._connections, *([self._accepting] if self._accepting else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._sock.close()

    async def disconnect(self) -> None:
        """Ends the tunnels that there are. Connections that come later are answered."""
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._slots.acquire()
            try:
                connection, _ = await loop.sock_accept(self._sock)
            except OSError as error:  # out of descriptors, or the peer is gone already
                self._slots.release()
                log.warning("could not accept a connection: %s", error)
                await asyncio.sleep(0.1)
                continue
            task = asyncio.create_task(self._serve(connection))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
            task.add_done_callback(lambda _: self._slots.release())

    async def _serve(self, connection: socket.socket) -> None:
        try:
            client = await Peer.accepted(connection)
        except (OSError, asyncio.CancelledError):
            connection.close()
            return
        try:
            async with asyncio.timeout(max(0.0, self._egress.expires_at - clock.seconds())):
                await self._answer(client)
        except (TimeoutError, OSError):
            pass  # too slow, idle, expired or gone
        except Exception:  # a task of its own: nobody else would see the error
            log.exception("a request to the proxy failed")
        finally:
            client.abort()

    async def _answer(self, client: Peer) -> None:
        asked = "a request"
        try:
            async with asyncio.timeout(self._limits.head_seconds):
                request = await read_request(client.reader)
            if request is None or not self._held():
                return
            asked = str(request)
            if (refusal := self._closed()) is not None:
                raise PolicyDenied(refusal.rule, refusal.message)
            host = self._egress.policy.admit(request.host, request.port, request.way)
            upstream = await self._reach(host, request)
        except PolicyDenied as error:
            await self._refuse(client, error, asked)
            return
        except Unreachable as error:
            await client.farewell(_refusal(502, str(error)))
            return
        try:
            await self._pass(client, upstream, request, host)
        finally:
            upstream.abort()

    async def _reach(self, host: str, request: ProxyRequest) -> Peer:
        """Behind the operator's proxy the name alone was judged: the proxy looks it up. Raises Unreachable."""
        proxy = self._egress.route.proxy_for(host, request.port)
        if proxy is not None:
            return await connect_through(proxy, host, request.port, seconds=self._limits.connect_seconds)
        return await self._connect(await self._egress.lookup.addresses(host, request.port), request)

    async def _connect(self, addresses: list[Address], request: ProxyRequest) -> Peer:
        for address in addresses[:_TRIED]:
            with contextlib.suppress(OSError):
                async with asyncio.timeout(self._limits.connect_seconds):
                    return Peer(*await asyncio.open_connection(str(address), request.port, limit=BUFFER))
        raise Unreachable(f"{request.host}:{request.port} could not be reached from the worker")

    async def _pass(self, client: Peer, upstream: Peer, request: ProxyRequest, host: str) -> None:
        traffic = await self._egress.ledger.open(host, request.port)
        if request.way is Way.PLAIN:
            onward = request.onward(host)
            traffic.sent += len(onward)
            await upstream.send(onward)
            await drain(upstream, client, traffic, idle_seconds=self._limits.idle_seconds)
            return
        await client.send(_ESTABLISHED)
        try:
            async with asyncio.timeout(self._limits.head_seconds):
                await shake_hands(client, upstream, host, traffic)
        except PolicyDenied as error:
            await self._break_off(client, error, str(request))
            return
        await join(client, upstream, traffic, idle_seconds=self._limits.idle_seconds)

    async def _refuse(self, client: Peer, error: PolicyDenied, asked: str) -> None:
        await self._egress.reporter.denied(deny(error.rule, error.message), asked)
        await client.farewell(_refusal(400 if error.rule.startswith("http.") else 403, error.message))

    async def _break_off(self, client: Peer, error: PolicyDenied, asked: str) -> None:
        """In the tunnel there is no HTTP any more: a TLS client is told by an alert."""
        await self._egress.reporter.denied(deny(error.rule, error.message), asked)
        await client.farewell(_refusal(403, error.message) if isinstance(error, NotTls) else _ALERT)


def _refusal(status: int, message: str) -> bytes:
    """The sentence stands in the reason phrase too, which pip and npm show, and curl with -v."""
    text = f"Gitward: {message}"
    body = f"{text}\n".encode()
    return (
        f"HTTP/1.1 {status} {text}\r\nServer: Gitward\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode() + body
