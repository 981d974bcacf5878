"""One listening socket of a sandbox: accepts, speaks TLS and HTTP/1.1, and ends what hangs."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import StreamResponse
from aiohttp.web_server import Server

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 100  # at once; more wait in the kernel's queue
IDLE_SECONDS = 60.0  # without a request, or with one whose header does not end
STALL_SECONDS = 600.0  # in a request, without a byte in either direction; GitHub may think long about a push
_HANDSHAKE_SECONDS = 15.0
_SHUTDOWN_SECONDS = 5.0
_LINGER_SECONDS = 60.0  # to read the rest of a refused push, so that git sees the answer and not a reset

# What a sandbox sends may be garbage without end; it is answered with 400, and not logged.
_parser_log = logging.getLogger("gitward.broker.parser")
_parser_log.setLevel(logging.CRITICAL + 1)

Touch = Callable[[], None]
Handler = Callable[[BaseRequest, Touch], Awaitable[StreamResponse]]


def abort(transport: asyncio.BaseTransport | None) -> None:
    """Closes a connection at once, so that the other side cannot take what it got for a whole answer."""
    if isinstance(transport, asyncio.WriteTransport):
        # CPython 3.11's TLS transport has lost its inner one when it was closed twice before.
        with suppress(AttributeError):
            transport.abort()


class _Server(Server):
    """Tells when a connection has ended."""

    def __init__(self, handler: Callable[[BaseRequest], Awaitable[StreamResponse]]) -> None:
        super().__init__(
            handler,
            handler_cancellation=True,  # git was killed: the request upstream ends too
            auto_decompress=False,
            access_log=None,
            logger=_parser_log,
            keepalive_timeout=IDLE_SECONDS,
            lingering_time=_LINGER_SECONDS,
        )
        self.ends: dict[RequestHandler, asyncio.Event] = {}

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        if handler in self.ends:
            self.ends[handler].set()


class Listener:
    """Serves one socket from `start` to `stop`."""

    def __init__(self, sock: socket.socket, tls: ssl.SSLContext, handler: Handler) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._tls = tls
        self._handler = handler
        self._server = _Server(self._handle)
        self._slots = asyncio.Semaphore(MAX_CONNECTIONS)
        self._connections: set[asyncio.Task[None]] = set()
        self._requests: set[asyncio.Task[object]] = set()
        self._busy: set[object] = set()  # protocols with a request under way
        self._moved: dict[object, float] = {}  # protocol → loop time of its last sign of life
        self._accepting: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        return int(self._sock.getsockname()[1])

    def start(self) -> None:
        self._accepting = asyncio.create_task(self._accept())

    async def stop(self) -> None:
        """After it returned no request is under way and every connection is closed."""
        tasks = [*self._connections, *self._requests]
        if self._accepting:
            tasks.append(self._accepting)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._server.shutdown(0)
        self._sock.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._slots.acquire()
            try:
                connection, _ = await loop.sock_accept(self._sock)
            except OSError as error:  # out of descriptors, or the peer is gone already
                self._slots.release()
                log.warning("no connection accepted: %s", error)
                await asyncio.sleep(0.1)
                continue
            task = asyncio.create_task(self._serve(connection))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
            task.add_done_callback(lambda _: self._slots.release())

    async def _serve(self, connection: socket.socket) -> None:
        protocol = self._server()
        ended = self._server.ends[protocol] = asyncio.Event()
        transport: asyncio.Transport | None = None
        try:
            transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
                lambda: protocol,
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=_SHUTDOWN_SECONDS,
            )
            self._moved[protocol] = asyncio.get_running_loop().time()
            await self._watch(protocol, ended)
        except (OSError, TimeoutError):
            pass  # no TLS, or not in time; the sandbox's own tool says so
        finally:
            abort(transport)
            connection.close()
            self._moved.pop(protocol, None)
            del self._server.ends[protocol]

    async def _watch(self, protocol: object, ended: asyncio.Event) -> None:
        """Returns when the connection has ended, or has shown no sign of life for too long."""
        loop = asyncio.get_running_loop()
        while True:
            limit = STALL_SECONDS if protocol in self._busy else IDLE_SECONDS
            left = self._moved[protocol] + limit - loop.time()
            if left <= 0:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, IDLE_SECONDS)):
                    await ended.wait()
                    return

    async def _handle(self, request: BaseRequest) -> StreamResponse:
        protocol = request.protocol
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None

        def touch() -> None:
            if protocol in self._moved:
                self._moved[protocol] = loop.time()

        self._requests.add(task)
        self._busy.add(protocol)
        touch()
        try:
            return await self._handler(request, touch)
        finally:
            self._requests.discard(task)
            self._busy.discard(protocol)
            touch()
