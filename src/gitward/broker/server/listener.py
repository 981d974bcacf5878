"""One listening socket of a sandbox: accepts connections, speaks TLS and HTTP/1.1, and ends connections that hang."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from aiohttp.web_request import BaseRequest
from aiohttp.web_response import StreamResponse

from gitward.broker.server.acceptor import Acceptor, end
from gitward.broker.server.protocol import HttpServer

log = logging.getLogger(__name__)

STALL_SECONDS = 600.0  # GitHub may think long about a push
_HANDSHAKE_SECONDS = 15.0
_SHUTDOWN_SECONDS = 5.0  # for the farewell of TLS
_STOP_SECONDS = 2.0  # for handlers to end when they are cancelled and their sockets are shut


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one listener bears."""

    connections: int = 100  # at once; more wait in the kernel's queue
    idle_seconds: float = 60.0  # without a request, or with one whose header does not end
    stall_seconds: float = STALL_SECONDS  # in a request, without a byte in either direction


Touch = Callable[[], None]
Handler = Callable[[BaseRequest, Touch], Awaitable[StreamResponse]]
Report = Callable[[], Awaitable[None]]


class Listener:
    """Serves one socket from `start` to `stop`."""

    def __init__(
        self,
        sock: socket.socket,
        tls: ssl.SSLContext,
        handler: Handler,
        malformed: Report,
        limits: Limits | None = None,
    ) -> None:
        """`malformed` is called for each request that is no HTTP; it has been answered already."""
        sock.setblocking(False)
        self._sock = sock
        self._tls = tls
        self._handler = handler
        self._limits = limits or Limits()
        self._malformed = malformed
        self._server = HttpServer(self._handle, malformed=self._note_malformed, idle_seconds=self._limits.idle_seconds)
        self._acceptor = Acceptor(sock, slots=self._limits.connections, serve=self._serve)
        self._requests: set[asyncio.Task[object]] = set()
        self._sockets: dict[object, socket.socket] = {}  # by protocol
        self._busy: set[object] = set()  # protocols with a request under way
        self._moved: dict[object, float] = {}  # protocol → loop time of its last sign of life

    @property
    def port(self) -> int:
        return int(self._sock.getsockname()[1])

    def start(self) -> None:
        self._acceptor.start()

    async def stop(self) -> None:
        """After it returned no request is under way and every connection is closed."""
        await asyncio.gather(self._acceptor.stop(), end(*self._requests))
        await self._server.shutdown(_STOP_SECONDS)
        self._sock.close()

    async def disconnect(self) -> None:
        """Ends the requests and connections that there are. Those that come later are served."""
        await asyncio.gather(self._acceptor.disconnect(), end(*self._requests))

    async def _serve(self, connection: socket.socket) -> None:
        protocol = self._server()
        ended = self._server.ends[protocol] = asyncio.Event()
        self._sockets[protocol] = connection
        self._touch(protocol)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: protocol,
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=_SHUTDOWN_SECONDS,
            )
            self._touch(protocol)
            await self._watch(protocol, ended)
        except (OSError, TimeoutError):
            pass  # no TLS, or not in time; the sandbox's own tool says so
        finally:
            self._cut(protocol)
            del self._server.ends[protocol], self._sockets[protocol], self._moved[protocol]

    def _note_malformed(self) -> None:
        task: asyncio.Task[object] = asyncio.get_running_loop().create_task(self._tell_malformed())
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)

    async def _tell_malformed(self) -> None:
        try:
            await self._malformed()
        except Exception:  # a task of its own: nobody else would see the error
            log.exception("a malformed request could not be reported")

    def _touch(self, protocol: object) -> None:
        self._moved[protocol] = asyncio.get_running_loop().time()

    def _cut(self, protocol: object) -> None:
        """Ends a connection at once, without TLS's farewell: nobody can take what came for all there was.

        The socket is the transport's, which sees the end and closes it. Its own `abort` is not enough: after a
        `close` CPython's TLS transport goes on waiting for the other side.
        """
        if protocol in self._sockets:
            with suppress(OSError):
                self._sockets[protocol].shutdown(socket.SHUT_RDWR)

    async def _watch(self, protocol: object, ended: asyncio.Event) -> None:
        """Returns when the connection has ended, or has shown no sign of life for too long."""
        loop = asyncio.get_running_loop()
        while True:
            busy = protocol in self._busy
            limit = self._limits.stall_seconds if busy else self._limits.idle_seconds
            left = self._moved[protocol] + limit - loop.time()
            if left <= 0:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, self._limits.idle_seconds)):
                    await ended.wait()
                    return

    async def _handle(self, request: BaseRequest) -> StreamResponse:
        protocol = request.protocol
        task = asyncio.current_task()
        assert task is not None

        def touch() -> None:
            if protocol in self._moved:
                self._touch(protocol)
            self._server.body_moves(protocol)

        self._requests.add(task)
        self._busy.add(protocol)
        touch()
        try:
            return await self._handler(request, touch)
        except BaseException:  # cancelled, or broken off in the middle of an answer
            self._cut(protocol)
            raise
        finally:
            self._requests.discard(task)
            self._busy.discard(protocol)
            touch()
            self._server.body_ends(protocol)
