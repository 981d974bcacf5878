"""Accepts the connections of one listening socket: as many at a time as there are slots, each in a task of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.1  # after a connection that could not be accepted


class Acceptor:
    """Serves connections between `start` and `stop`."""

    def __init__(
        self, sock: socket.socket, *, slots: int, serve: Callable[[socket.socket], Coroutine[None, None, None]]
    ) -> None:
        self._sock = sock
        self._serve = serve
        self._slots = asyncio.Semaphore(slots)
        self._connections: set[asyncio.Task[None]] = set()
        self._accepting: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._accepting = asyncio.create_task(self._accept())

    async def stop(self) -> None:
        """After it returned every connection is closed, and none is accepted. The socket stays open."""
        await end(*self._connections, *([self._accepting] if self._accepting else []))

    async def disconnect(self) -> None:
        """Ends the connections that there are. Those that come later are served."""
        await end(*self._connections)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._slots.acquire()
            try:
                connection, _ = await loop.sock_accept(self._sock)
            except OSError as error:  # out of descriptors, or the peer is gone already
                self._slots.release()
                log.warning("could not accept a connection: %s", error)
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            task = asyncio.create_task(self._serve(connection))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
            task.add_done_callback(lambda _: self._slots.release())


async def end(*tasks: asyncio.Task[object] | asyncio.Task[None]) -> None:
    """Cancels the tasks and waits for them."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
