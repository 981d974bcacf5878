"""One spare supervisor with its sandbox, so that a command need not wait for namespaces and mounts.

Each serves one command. It exists while the sandbox is open, and not between runs.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from gitward.sandboxes.protocol import SandboxError
from gitward.sandboxes.supervisor_handle import SupervisorHandle


class SpareSupervisor:
    """`take` gives a ready supervisor."""

    def __init__(self, prepare: Callable[[], Awaitable[SupervisorHandle]]) -> None:
        self._prepare = prepare
        self._next: asyncio.Future[SupervisorHandle] | None = None
        self._closed = False

    async def take(self, *, last: bool = False) -> SupervisorHandle:
        """A supervisor that is the caller's to end. Begins to make the next one, unless this is the last."""
        waiting, self._next = self._next, None
        link: SupervisorHandle | None = None
        if waiting is not None:
            link = await self._finished(waiting)
        if link is None:
            link = await self._prepare()
        if not last:
            self.refill()
        return link

    def refill(self) -> None:
        """Begins to make a spare supervisor, unless there is one."""
        if self._next is None and not self._closed:
            self._next = asyncio.ensure_future(self._prepare())

    async def close(self) -> None:
        """Ends the spare one, for good."""
        self._closed = True
        await self.drop()

    async def drop(self) -> None:
        """Ends the spare one."""
        waiting, self._next = self._next, None
        if waiting is not None and (link := await self._finished(waiting)):
            await link.end()
            link.close()

    async def _finished(self, waiting: asyncio.Future[SupervisorHandle]) -> SupervisorHandle | None:
        """The spare, when it came to be and still lives."""
        try:
            with contextlib.suppress(SandboxError):
                link = await asyncio.shield(waiting)
                if link.is_alive:
                    return link
                await link.end()
                link.close()
        except asyncio.CancelledError:
            self._next = waiting  # the next `take`, or `close`, has it
            raise
        return None
