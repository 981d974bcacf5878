"""Two connections joined: bytes go both ways, as fast as the slower side takes them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

from gitward.broker.server.egress.traffic import Traffic

BUFFER = 64 * 1024  # bytes that wait in each direction; then the sender waits
_FAREWELL_SECONDS = 2.0


class Peer:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        writer.transport.set_write_buffer_limits(high=BUFFER)

    @classmethod
    async def accepted(cls, connection: socket.socket) -> Peer:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=BUFFER)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection)
        return cls(reader, asyncio.StreamWriter(transport, protocol, reader, loop))

    async def send(self, data: bytes) -> None:
        """Returns when the other side has taken all but BUFFER bytes. Raises OSError."""
        self.writer.write(data)
        await self.writer.drain()

    async def farewell(self, data: bytes) -> None:
        """A last word. What the other side still sends is read for a moment, or the word would be lost in a reset."""
        with contextlib.suppress(OSError):
            async with asyncio.timeout(_FAREWELL_SECONDS):
                self.writer.write(data)
                self.writer.write_eof()
                while await self.reader.read(BUFFER):
                    pass

    def abort(self) -> None:
        self.writer.transport.abort()

    async def close(self) -> None:
        """Ends the connection; what is not sent yet is sent before, if the other side takes it."""
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


async def join(client: Peer, upstream: Peer, traffic: Traffic, *, idle_seconds: float) -> None:
    """Returns when both sides have said all, or one broke off. Raises TimeoutError when nothing moves any more."""

    def sent(size: int) -> None:
        traffic.sent += size
        moved()

    def received(size: int) -> None:
        traffic.received += size
        moved()

    def moved() -> None:
        limit.reschedule(asyncio.get_running_loop().time() + idle_seconds)

    async with asyncio.timeout(idle_seconds) as limit:
        broken = False
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(client, upstream, sent))
                group.create_task(_pump(upstream, client, received))
        except* OSError:  # the other half is of no use any more
            broken = True
        if not broken:
            await upstream.close()
            await client.close()


async def drain(upstream: Peer, client: Peer, traffic: Traffic, *, idle_seconds: float) -> None:
    """One answer, to its end. The client can only listen, or hang up. Raises as `join` does."""

    def received(size: int) -> None:
        traffic.received += size
        limit.reschedule(asyncio.get_running_loop().time() + idle_seconds)

    async with asyncio.timeout(idle_seconds) as limit:
        with contextlib.suppress(OSError):
            await _pump(upstream, client, received)
            await client.close()


async def _pump(source: Peer, target: Peer, moved: Callable[[int], None]) -> None:
    while piece := await source.reader.read(BUFFER):
        moved(len(piece))
        await target.send(piece)
    target.writer.write_eof()
