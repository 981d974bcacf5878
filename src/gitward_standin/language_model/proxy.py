"""A CONNECT proxy on loopback by which the names of providers lead to the stand-in, and to nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection

_HEAD_SECONDS = 10.0
_PIECE = 64 * 1024


class NamesProxy:
    """For whoever honours HTTPS_PROXY: no name is looked up, no address left."""

    def __init__(self, names: Collection[str], port: int) -> None:
        """:param port: on loopback, where all the names lead."""
        self._names = frozenset(names)
        self._target = port
        self._server: asyncio.Server | None = None
        self._ways: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for way in list(self._ways):
            way.cancel()
        await asyncio.gather(*self._ways, return_exceptions=True)
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._ways.add(task)
        try:
            with contextlib.suppress(OSError, EOFError, TimeoutError, ValueError):
                await self._serve(reader, writer)
        except asyncio.CancelledError:
            pass  # the stand-in stops
        finally:
            self._ways.discard(task)
            await _close(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_HEAD_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
        if method != "CONNECT" or target.rpartition(":")[0] not in self._names:
            writer.write(b"HTTP/1.1 403 Not here\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            await asyncio.gather(_copy(reader, upstream), _copy(upstream_reader, writer))
        finally:
            await _close(upstream)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the end; the other side is told of it."""
    while piece := await reader.read(_PIECE):
        writer.write(piece)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
