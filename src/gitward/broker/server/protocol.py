"""aiohttp's HTTP server for the broker: it reports when a connection ends, and what its parser refused."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import StreamResponse
from aiohttp.web_server import Server

from gitward.broker.policy.routes import Kind
from gitward.broker.server.refusals import refusal
from gitward.errors import PolicyDenied

# What may come in a request's body without any of it reaching us: two buffers' worth, and room. More than that is chunk
# extensions or trailers without end, which the parser swallows.
_MAX_SWALLOWED = 2 * 1024 * 1024
_LINGER_SECONDS = 60.0  # to read the rest of a refused push, so that git sees the answer and not a reset

# What a sandbox sends may be garbage without end; it is answered with 400, told as an event, and not logged.
_parser_log = logging.getLogger("gitward.broker.parser")
_parser_log.setLevel(logging.CRITICAL + 1)

Malformed = Callable[[], None]


class _Protocol(RequestHandler):
    """One connection. What the parser refuses is answered here, before any handler of ours sees it."""

    __slots__ = ("_malformed", "deaf", "received", "swallowed")

    def __init__(self, manager: Server, malformed: Malformed, **options: Any) -> None:
        super().__init__(manager, loop=asyncio.get_running_loop(), **options)
        self._malformed = malformed
        self.deaf = False  # whether what still comes is not even parsed
        self.received = 0  # bytes of the whole connection, framing and all
        self.swallowed: int | None = None  # bytes since a request began or its body moved; None between requests

    def data_received(self, data: bytes) -> None:
        if self.deaf:
            return
        super().data_received(data)
        self.received += len(data)
        if self.swallowed is not None:
            self.swallowed += len(data)
            if self.swallowed > _MAX_SWALLOWED and self._current_request is not None:
                error = PolicyDenied("http.body", "the body's chunk extensions or trailers are too long")
                self._current_request.content.set_exception(error)

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp passes it by name; it repeats the bytes of the sandbox
    ) -> StreamResponse:
        """Our sentence instead of aiohttp's."""
        if request.writer.output_size > 0:
            raise ConnectionAbortedError("half an answer must not be continued by another") from exc
        if status < 500:
            self._malformed()
            text = "this is no HTTP/1.1 request"
        else:
            text = "the broker failed on this request"
        answer = refusal(Kind.REST, status, text)  # git itself never sends such a request; gh can be made to
        answer.force_close()
        return answer


def received(request: BaseRequest) -> int:
    """Bytes that came on the request's connection so far, framing and all."""
    return request.protocol.received if isinstance(request.protocol, _Protocol) else 0


def stop_listening(request: BaseRequest, error: PolicyDenied) -> None:
    """The request's body ends with `error`, and its connection behind the answer: reading on would cost too much."""
    if isinstance(request.protocol, _Protocol):
        request.protocol.deaf = True
    request.content.set_exception(error)


class HttpServer(Server):
    """Makes a protocol for each connection; `ends` tells when a watched one is over."""

    def __init__(
        self,
        handler: Callable[[BaseRequest], Awaitable[StreamResponse]],
        *,
        malformed: Malformed,
        idle_seconds: float,
    ) -> None:
        super().__init__(handler, handler_cancellation=True)  # git was killed: the request upstream ends too
        self._malformed = malformed
        self._options: dict[str, Any] = {
            "auto_decompress": False,
            "access_log": None,
            "logger": _parser_log,
            "keepalive_timeout": idle_seconds,
            "lingering_time": _LINGER_SECONDS,
        }
        self.ends: dict[RequestHandler, asyncio.Event] = {}

    def __call__(self) -> RequestHandler:
        return _Protocol(self, self._malformed, **self._options)

    def body_moves(self, handler: object) -> None:
        """A request has begun, or a piece of its body was taken."""
        if isinstance(handler, _Protocol):
            handler.swallowed = 0

    def body_ends(self, handler: object) -> None:
        """What comes from here on is not waited for."""
        if isinstance(handler, _Protocol):
            handler.swallowed = None

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        if handler in self.ends:
            self.ends[handler].set()
