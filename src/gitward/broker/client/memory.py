"""The memory of brokers: each has a cgroup of its own, beside those of sandboxes, where this machine has cgroups.

RLIMIT_DATA, which the parent sets itself, holds everywhere.
"""

from __future__ import annotations

import asyncio
import logging

from gitward.grants.cgroups import Controller, Group

log = logging.getLogger(__name__)

LIMIT_BYTES = 384 * 1024 * 1024  # of one broker; eight large answers, held whole, take less than half of it


class Memory:
    """Makes groups, and removes each when its broker has ended."""

    def __init__(self, controller: Controller | None) -> None:
        self._controller = controller
        self._left: set[Group] = set()  # whose last process was not reaped when they were to go
        self._removing: set[asyncio.Task[None]] = set()

    async def group(self) -> Group | None:
        """A new group; None when there can be none."""
        if self._controller is None:
            return None
        try:
            return await asyncio.to_thread(self._controller.create, LIMIT_BYTES)
        except OSError as error:
            log.warning("A broker has no memory cgroup, RLIMIT_DATA holds alone: %s", error)
            return None

    def remove(self, group: Group | None) -> None:
        """To be called when its broker has ended. Returns at once: the kernel may take a moment."""
        if group is None:
            return
        self._left.add(group)
        task = asyncio.create_task(asyncio.to_thread(self._sweep), name="memory of a broker")
        self._removing.add(task)
        task.add_done_callback(self._removing.discard)

    async def stop(self) -> None:
        """Removes what is left. Call it when every broker has ended."""
        if self._removing:
            await asyncio.wait(self._removing)
        await asyncio.to_thread(self._sweep)

    def _sweep(self) -> None:
        for group in tuple(self._left):
            try:
                group.remove()
            except OSError as error:  # its last process is a zombie of a parent that hangs; the next time, then
                log.warning("The memory cgroup of a broker is in use: %s", error)
            else:
                self._left.discard(group)
