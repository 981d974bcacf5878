"""Keeps the disk of the workspaces usable: one run's files must not keep every other run, or the database, waiting."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Collection, Coroutine
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
MEASURE_SECONDS = 5.0  # for the size of one workspace, and for the open files of all
MOUNTS_BYTES = 2**20  # of a list of mounts; that of a sandbox has a few thousand
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
        unnamed = await asyncio.to_thread(_without_name, waiting)
        named = await asyncio.gather(*(asyncio.to_thread(_size, each) for each in waiting))
        sizes = {each: size + unnamed[each] for each, size in zip(waiting, named, strict=True)}
        workspace = max(sizes, key=sizes.__getitem__, default=None)
        if workspace is None or sizes[workspace] < await asyncio.to_thread(_enough, self._workspaces):
            return False
        await self._watch.check()  # measuring takes its time, in which somebody may have made room
        if not self._watch.is_low:
            return True
        order = self._executing.get(workspace)
        if order is not None and not order.done():
            log.error("The disk is full: ending what runs in %s, whose files take most of it", workspace.name)
            order.set_result(sizes[workspace])
        return True


def _enough(folder: Path) -> int:
    with contextlib.suppress(OSError):
        return min(ENOUGH_BYTES, disk.total(folder) // 4)
    return ENOUGH_BYTES


def _size(workspace: Path) -> int:
    """Bytes of its files that have a name, or as many as were counted in time."""
    total, until = 0, time.monotonic() + MEASURE_SECONDS
    for name in ("work", "home"):
        with contextlib.suppress(OSError):
            for size in foreign_folders.usage(workspace / name):
                total += size
                if time.monotonic() > until:
                    return total
    return total


def _without_name(workspaces: Collection[Path]) -> dict[Path, int]:
    """Bytes of files that were removed while a process has them open, by workspace; as many as were found in time."""
    found, counted, until = dict.fromkeys(workspaces, 0), set[int](), time.monotonic() + MEASURE_SECONDS
    for pid in processes_inside.descendants(os.getpid()):  # parents first: of a sandbox its first process
        if time.monotonic() > until:
            break
        if pid in counted:
            continue
        with contextlib.suppress(OSError), open(f"/proc/{pid}/mountinfo", "rb") as file:  # a zombie has none: EINVAL
            mounts = file.read(MOUNTS_BYTES)
            for workspace in workspaces:
                if os.fsencode(workspace.name) in mounts:
                    counted.update(processes_inside.descendants(pid))
                    found[workspace] += sum(processes_inside.unnamed_files(pid).disk.values())
    return found
