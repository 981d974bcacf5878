"""Request bodies: asking for them, and reading small ones."""

from __future__ import annotations

from aiohttp import HttpVersion11, web

LONGEST = 2 * 1024 * 1024  # bytes of a REST, GraphQL or LFS request


class BodyTooLong(Exception):
    """A body that should be small is longer than LONGEST."""


async def invite(request: web.BaseRequest) -> None:
    """Answers `Expect: 100-continue`, so that the client sends its body."""
    if request.version == HttpVersion11 and request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # as aiohttp does: the answer itself has not begun


async def read(request: web.BaseRequest) -> bytes:
    """The whole body. Raises BodyTooLong."""
    await invite(request)
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > LONGEST:
            raise BodyTooLong
    return bytes(body)
