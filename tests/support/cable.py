"""A cable between a worker and its database that can be cut: a small TCP proxy on loopback."""

from __future__ import annotations

import asyncio
import contextlib

PIECE = 64 * 1024


class Cable:
    """Carries connections to a port of this machine, until it is cut: then nothing comes through and nobody is told."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._whole = asyncio.Event()
        self._whole.set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self._whole.set()
        for writer in tuple(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()

    def cut(self) -> None:
        """Silence in both directions; open connections stay open, new ones are never answered."""
        self._whole.clear()

    def mend(self) -> None:
        self._whole.set()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        await self._whole.wait()
        try:
            there_reader, there = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(there)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass(reader, there))
                both.create_task(self._pass(there_reader, writer))
        finally:
            for each in (writer, there):
                self._writers.discard(each)
                each.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE):
                await self._whole.wait()
                writer.write(piece)
                await writer.drain()
        writer.transport.abort()
