"""The memory of brokers: each has a cgroup of its own, beside those of sandboxes, where this machine has cgroups.

RLIMIT_DATA, which the parent sets itself, holds everywhere.
"""

from __future__ import annotations

import asyncio
import logging

from gitward.grants.cgroups import Controller, Group

log = logging.getLogger(__name__)

_PAUSES = (0.01, 0.02, 0.05, 0.1, 0.5, *(1.0,) * 60)  # seconds between tries to remove a group
LIMIT_BYTES = 384 * 1024 * 1024  # of one broker; eight large answers, held whole, take less than half of it


class BrokerMemory:
    """Makes groups, and removes each when its broker has ended."""

    def __init__(self, controller: Controller | None) -> None:
        self._controller = controller
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
        """To be called when its broker has ended. Returns at once: its parent may be slow to reap it."""
        if group is not None:
            task = asyncio.create_task(_remove(group), name="memory of a broker")
            self._removing.add(task)
            task.add_done_callback(self._removing.discard)

    async def stop(self) -> None:
        """Waits until what is to be removed is. Call it when the parent has ended."""
        if self._removing:
            await asyncio.wait(self._removing)


async def _remove(group: Group) -> None:
    """A parent that hangs leaves its broker unreaped until it is replaced."""
    for pause in _PAUSES:
        try:
            return await asyncio.to_thread(group.remove, seconds=0.0)
        except OSError:
            await asyncio.sleep(pause)
    log.warning("The memory cgroup %s of a broker is in use, and stays", group.folder)
    return None
