"""One end of the channel between worker and broker, for asyncio."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Any

from gitward.grants import channel
from gitward.grants.channel import Message


class Link:
    """Sends and receives channel messages without blocking the loop. One task may receive, many may send."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._sending = asyncio.Lock()

    async def receive(self) -> tuple[Message, list[int]]:
        """The next message and its descriptors, which the caller owns. Raises ChannelClosed at the end."""
        while True:
            try:
                return channel.receive(self._sock)
            except BlockingIOError:
                loop = asyncio.get_running_loop()
                await self._until(loop.add_reader, loop.remove_reader)

    async def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Waits while the other end is slow. Raises ChannelClosed when it is gone."""
        async with self._sending:
            while True:
                try:
                    return channel.send(self._sock, message, fds)
                except BlockingIOError:
                    loop = asyncio.get_running_loop()
                    await self._until(loop.add_writer, loop.remove_writer)

    def close(self) -> None:
        """Call it when no task waits on the link any more."""
        self._sock.close()

    async def _until(self, add: Callable[..., Any], remove: Callable[[socket.socket], Any]) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        add(self._sock, _wake, waiter)
        try:
            await waiter
        finally:
            remove(self._sock)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
