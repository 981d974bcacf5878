"""Checks the room of a disk once a second, and remembers it in between."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from gitward.store import disk

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0


class DiskWatch:
    """Watches from `start` to `stop`."""

    def __init__(
        self,
        folder: Path,
        *,
        of: str,
        renew: Callable[[], None] = lambda: None,
        relieve: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """
        :param of: whose disk it is, for people: "the database".
        :param renew: called at each look, in a thread: takes a reserve again.
        :param relieve: called at each look that finds the disk low.
        """
        self._folder = folder
        self._of = of
        self._renew = renew
        self._relieve = relieve
        self._task: asyncio.Task[None] | None = None
        self.is_low = False

    async def start(self) -> None:
        """Knows at once whether the disk is low."""
        await self.check()
        self._task = asyncio.create_task(self._watch(), name=f"watching the disk of {self._of}")

    async def stop(self) -> None:
        """A look that is under way is awaited."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def check(self) -> None:
        """Looks now."""
        was, self.is_low = self.is_low, await asyncio.to_thread(self._check_now)
        if self.is_low and not was:
            log.error("The disk of %s is full (%s): make room on it", self._of, self._folder)
        elif was and not self.is_low:
            log.warning("The disk of %s has room again", self._of)

    def _check_now(self) -> bool:
        with contextlib.suppress(OSError):
            self._renew()
        return disk.is_low(self._folder)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.check()
                if self.is_low and self._relieve is not None:
                    await self._relieve()
            except Exception:  # the edge of a task that must go on
                log.exception("The disk of %s could not be checked; trying again", self._of)
