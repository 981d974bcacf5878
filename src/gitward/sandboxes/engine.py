"""The embedded sandbox engine: bubblewrap, started by a launcher that was forked early."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from gitward.grants import cgroups
from gitward.grants.endpoint import Endpoint
from gitward.grants.system_image import SystemImage
from gitward.sandboxes import descriptor_waits, probe, system_calls, uids
from gitward.sandboxes.launcher_handle import LauncherHandle
from gitward.sandboxes.protocol import WORK_DIR, Guard, Limits, Sandbox, SandboxError, Shown, User
from gitward.sandboxes.sandbox import BubblewrapSandbox
from gitward.sandboxes.sandbox_resources import EngineTerms, ResourceRequest, SandboxResources
from gitward.sandboxes.walls import ALL_WALLS, Wall

log = logging.getLogger(__name__)

_SLOT_SECONDS = 60.0  # that `open` waits for a free slot


class BubblewrapEngine:
    """Opens at most `slots` sandboxes at a time. As root, each has a user id of its own, from `uid_base` on."""

    def __init__(
        self,
        *,
        slots: int,
        tool_paths: Sequence[Path] = (),
        uid_base: int = uids.UID_BASE,
        find_cgroups: Callable[[], cgroups.Controller | None] = cgroups.find,  # None: the watchdog alone
        walls: frozenset[Wall] = ALL_WALLS,  # for the conformance suite only
    ) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._tool_paths = tuple(tool_paths)
        self._uid_base = uid_base
        self._walls = walls
        self._find_cgroups = find_cgroups
        self._is_root = os.geteuid() == 0
        self._launcher = LauncherHandle(inherits_environment=Wall.ENVIRONMENT_EMPTY not in walls)
        self._cgroups: cgroups.Controller | None = None
        self._open: set[BubblewrapSandbox] = set()
        self._bwrap = ""  # its path, while the engine is started

    async def start(self) -> None:
        bwrap = shutil.which("bwrap")
        if bwrap is None:
            raise SandboxError("bubblewrap is not installed. On Debian: apt-get install bubblewrap")
        for path in self._tool_paths:
            if not path.is_absolute() or not path.is_dir():
                raise SandboxError(f"the tool folder {path} does not exist. Give absolute paths of folders")
        if os.uname().machine not in system_calls.MACHINES:
            machines = " and ".join(system_calls.MACHINES)
            raise SandboxError(f"sandboxes have a system call filter for {machines}, not for {os.uname().machine}")
        self._cgroups = await asyncio.to_thread(self._find_cgroups)
        await self._launcher.start()
        self._bwrap = bwrap
        try:
            await self._try_out()
        except BaseException:
            await descriptor_waits.uninterrupted(self.stop())
            raise

    async def _try_out(self) -> None:
        try:
            await probe.try_out(self)
        except SandboxError as error:
            if self._cgroups is None:
                raise
            log.warning("Memory cgroups are not available, the watchdog replaces them: %s", error)
            self._cgroups = None
            await probe.try_out(self)

    async def probe(self) -> tuple[Guard, ...]:
        """Which limits hold on this machine; after `start`."""
        return probe.limits(self._cgroups)

    @property
    def pid(self) -> int | None:
        """Of the launcher, with which everything ends."""
        return self._launcher.pid

    @property
    def answers(self) -> bool:
        """Whether the launcher does. One that hangs is replaced, and every sandbox ends with it."""
        return self._launcher.answers

    def act_until(self, moment: float) -> None:
        """Every sandbox ends at this moment of the boot clock, whatever becomes of this process.

        To be called again with a later moment before that.
        """
        self._launcher.act_until(moment)

    async def stop(self) -> None:
        self._bwrap = ""
        for sandbox in tuple(self._open):
            await sandbox.close()
        await self._launcher.stop()

    async def open(
        self,
        *,
        name: str,
        workspace: Path,
        endpoint: Endpoint,
        limits: Limits,
        shown: Sequence[Shown] = (),
        user: User | None = None,
        work_dir: str = WORK_DIR,
        image: SystemImage | None = None,
    ) -> Sandbox:
        self._refuse_when_stopped()
        async with contextlib.AsyncExitStack() as undo:
            await self._take_slot()
            undo.callback(self._slots.release)
            resources = SandboxResources()
            undo.push_async_callback(asyncio.to_thread, resources.release)
            occupation = ResourceRequest(
                workspace=workspace,
                endpoint=endpoint,
                limits=limits,
                shown=tuple(shown),
                user=user,
                work_dir=work_dir,
                image=image,
            )
            await descriptor_waits.uninterrupted(asyncio.to_thread(resources.occupy, occupation, self._terms()))
            self._refuse_when_stopped()
            undo.pop_all()
        sandbox = BubblewrapSandbox(
            name=name,
            resources=resources,
            endpoint=endpoint,
            launcher=self._launcher,
            bwrap=self._bwrap,
            on_close=self._closed,
        )
        sandbox.warm_up()
        self._open.add(sandbox)
        return sandbox

    def _refuse_when_stopped(self) -> None:
        if not self._bwrap:
            raise SandboxError("the sandbox engine is not started")

    def _terms(self) -> EngineTerms:
        drops = self._is_root and Wall.UNPRIVILEGED_USER in self._walls
        return EngineTerms(
            uid_base=self._uid_base if drops else None,
            tool_paths=self._tool_paths,
            cgroups=self._cgroups,
            walls=self._walls,
        )

    async def _take_slot(self) -> None:
        try:
            async with asyncio.timeout(_SLOT_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            raise SandboxError("every sandbox slot is in use. Wait for a run to end, or allow more runs") from None

    def _closed(self, sandbox: BubblewrapSandbox) -> None:
        self._open.discard(sandbox)
        self._slots.release()
