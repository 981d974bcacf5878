"""Request bodies: read in pieces, decoded where the policy checks them, bounded where they are stored."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator

from aiohttp.web_request import BaseRequest

from gitward.broker.server.listener import Touch
from gitward.broker.server.protocol import received, stop_listening
from gitward.errors import PolicyDenied

# Bytes of a body that is read whole. GitHub takes 65,536 characters of a text; with more, what a hostile one costs to
# read is felt.
MAX_INSPECTED = 512 * 1024
_FRAMING = 256 * 1024  # bytes that may come ahead of the body, or stand around its chunks
_INSPECTED_SECONDS = 60.0
_PIECE = 64 * 1024  # bytes of one decoded piece


class BadBody(PolicyDenied):
    """The body cannot be read as it claims to be."""

    def __init__(self, message: str) -> None:
        super().__init__("http.body", message)


async def grant_continue(request: BaseRequest) -> None:
    """Answers `Expect: 100-continue`. Called once the headers are allowed, before the body is read."""
    expected = request.headers.get("Expect")
    if expected is None:
        return
    if expected.lower() != "100-continue":
        raise BadBody("the only supported expectation is 100-continue")
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # else aiohttp believes that the answer has begun


async def pieces(request: BaseRequest, touch: Touch) -> AsyncIterator[bytes]:
    """The body as it comes, unless it is cut so small that its framing costs more than itself. Raises BadBody."""
    began, taken = received(request), 0
    while piece := await request.content.readany():
        touch()
        taken += len(piece)
        if received(request) - began > 2 * taken + _FRAMING:
            error = BadBody("the chunks of a body must be larger")
            stop_listening(request, error)
            raise error
        yield piece


async def decoded(request: BaseRequest, touch: Touch) -> AsyncIterator[bytes]:
    """The body without its Content-Encoding. Raises BadBody."""
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding == "identity":
        source = pieces(request, touch)
    elif encoding in {"gzip", "x-gzip"}:
        source = _gunzip(pieces(request, touch))
    else:
        raise BadBody("a push must be sent plain or with gzip")
    async for piece in source:
        yield piece


async def whole(request: BaseRequest, touch: Touch) -> bytes:
    """The body of an inspected call. Raises BadBody."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise BadBody("the body of an API request must not be compressed")
    return await _collected(pieces(request, touch), "an API request")


async def whole_of_git(request: BaseRequest, touch: Touch) -> bytes:
    """The body of a request of git's that is inspected, decoded. Raises BadBody."""
    return await _collected(decoded(request, touch), "this request of git's")


async def _collected(source: AsyncIterator[bytes], what: str) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(_INSPECTED_SECONDS):
            async for piece in source:
                body += piece
                if len(body) > MAX_INSPECTED:
                    raise BadBody(f"the body of {what} must be at most {MAX_INSPECTED} bytes")
    except TimeoutError as error:
        raise BadBody("the body of the request did not arrive in time") from error
    return bytes(body)


async def _gunzip(source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        async for piece in source:
            data = piece
            while data:
                if inflater.eof:
                    raise BadBody("a gzip body must be one stream")
                yield inflater.decompress(data, _PIECE)
                data = inflater.unconsumed_tail or inflater.unused_data
        while rest := inflater.decompress(inflater.unconsumed_tail, _PIECE):
            yield rest
    except zlib.error as error:
        raise BadBody("the gzip body is broken") from error
    if not inflater.eof:
        raise BadBody("the gzip body ends too early")
