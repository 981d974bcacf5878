"""Keeps the disk of the workspaces usable: one run's files must not keep every other run, or the database, waiting."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from gitward.errors import Reason, RunFailure
from gitward.repositories.mirrors import Mirrors
from gitward.runs.storage import removable_files
from gitward.sandboxes import foreign_folders, processes_inside
from gitward.store import disk
from gitward.store.disk_watch import DiskWatch

log = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE_SECONDS = 2.0  # for a command that met the full disk to end by itself, and tell why
MEASURE_SECONDS = 5.0  # for the size of one workspace
ENOUGH_BYTES = 16 * disk.MiB  # worth ending a run for; of a small disk a quarter of it


class DiskGuard:
    """When the disk is full, ends the run that takes most of it; where no run does, removes caches and mirrors."""

    def __init__(self, workspaces: Path, mirrors: Mirrors | None = None) -> None:
        self._workspaces = workspaces
        self._mirrors = mirrors
        self._executing: dict[Path, asyncio.Future[int]] = {}  # by workspace; a result ends its foreign code
        self._low_since: float | None = None
        self._watch = DiskWatch(workspaces, of="the workspaces", relieve=self._relieve)

    async def start(self) -> None:
        await self._watch.start()

    async def stop(self) -> None:
        await self._watch.stop()

    @property
    def is_low(self) -> bool:
        """Whether the disk is full: no run should begin now."""
        return self._watch.is_low

    async def execute(self, workspace: Path, command: Coroutine[Any, Any, T], *, name: str = "command") -> T:
        """What the foreign code of a run comes to.

        :param name: what people call it: "command", "setup".
        :raises RunFailure: `sandbox_failed`: it was ended to make room.
        """
        order: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._executing[workspace] = order
        main = asyncio.create_task(command)
        try:
            waiting: set[asyncio.Future[Any]] = {main, order}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if main.done():
                return main.result()
        finally:
            self._executing.pop(workspace, None)
            main.cancel()
            await asyncio.gather(main, return_exceptions=True)
        took = order.result() // disk.MiB
        raise RunFailure(Reason.SANDBOX_FAILED, f"The {name} was ended to make room: its files took {took} MiB.")

    async def _relieve(self) -> None:
        """One measure at a time: the next look tells whether it was enough."""
        if self._low_since is None or time.monotonic() - self._low_since > 4 * PATIENCE_SECONDS:
            self._low_since = time.monotonic()  # of a new time of need
        if time.monotonic() - self._low_since < PATIENCE_SECONDS:
            return
        self._low_since = None
        if await self._end_largest():
            return
        if await asyncio.to_thread(removable_files.clear_idle, self._workspaces, frozenset(self._executing)):
            return
        if self._mirrors is not None:
            await self._mirrors.make_room(ENOUGH_BYTES)

    async def _end_largest(self) -> bool:
        """Whether a command was told to end, or none need end any more."""
        waiting = [each for each, order in self._executing.items() if not order.done()]
        sizes = dict(
            zip(waiting, await asyncio.gather(*(asyncio.to_thread(_size, each) for each in waiting)), strict=True)
        )
        workspace = max(sizes, key=sizes.__getitem__, default=None)
        if workspace is None or sizes[workspace] < await asyncio.to_thread(_enough, self._workspaces):
            return False
        await self._watch.check()  # measuring takes its time, in which somebody may have made room
        if not self._watch.is_low:
            return True
        order = self._executing.get(workspace)
        if order is not None and not order.done():
            log.error("The disk is full: ending the command in %s, whose files take most of it", workspace.name)
            order.set_result(sizes[workspace])
        return True


def _enough(folder: Path) -> int:
    with contextlib.suppress(OSError):
        return min(ENOUGH_BYTES, disk.total(folder) // 4)
    return ENOUGH_BYTES


def _size(workspace: Path) -> int:
    """Bytes of its files, or as many as were counted in time."""
    total, until = _without_name(workspace), time.monotonic() + MEASURE_SECONDS
    for name in ("work", "home"):
        with contextlib.suppress(OSError):
            for size in foreign_folders.usage(workspace / name):
                total += size
                if time.monotonic() > until:
                    return total
    return total


def _without_name(workspace: Path) -> int:
    """Bytes of files that were removed while a process of its sandboxes has them open."""
    name, total, counted = os.fsencode(workspace.name), 0, set[int]()
    for pid in processes_inside.descendants(os.getpid()):  # parents first: of a sandbox its first process
        with processes_inside.gone_is_fine(), open(f"/proc/{pid}/mountinfo", "rb") as mounts:
            if pid not in counted and name in mounts.read():
                counted.update(processes_inside.descendants(pid))
                total += sum(processes_inside.unnamed_files(pid).disk.values())
    return total
