"""A wire between a worker and its database that can be slow, and can be cut."""

from __future__ import annotations

import asyncio
import contextlib

PIECE = 64 * 1024


class Link:
    """Listens on loopback and carries every connection to another port of it, until it is cut."""

    def __init__(self, target: int, *, latency_seconds: float = 0.0) -> None:
        """`latency_seconds`: what each piece waits on its way there."""
        self._target = target
        self._latency = latency_seconds
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self._cut = False
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        await asyncio.gather(*self._open, return_exceptions=True)

    def cut(self) -> None:
        """Ends every connection; new ones end at once."""
        self._cut = True
        for task in self._open:
            task.cancel()

    def mend(self) -> None:
        self._cut = False

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            if not self._cut:
                await self._carry(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # cut, or Postgres is not there just now
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            ways = [
                asyncio.create_task(_pump(reader, there_writer, self._latency)),
                asyncio.create_task(_pump(there_reader, writer, 0.0)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            there_writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, latency: float) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(PIECE):
            if latency:
                await asyncio.sleep(latency)
            writer.write(piece)
            await writer.drain()
