"""An open sandbox of the bubblewrap engine."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath

from gitward.grants.endpoint import Endpoint, ports_of
from gitward.sandboxes import descriptor_waits
from gitward.sandboxes.command_execution import CommandExecution, Job
from gitward.sandboxes.launcher_handle import LauncherHandle
from gitward.sandboxes.plan import Plan
from gitward.sandboxes.protocol import Command, Completed, OnOutput, SandboxError, Stream, User
from gitward.sandboxes.sandbox_resources import SandboxResources
from gitward.sandboxes.spare_supervisor import SpareSupervisor
from gitward.sandboxes.supervised_place import SeriesPlaces, SupervisedPlace
from gitward.sandboxes.supervisor_handle import NotStarted, SupervisorHandle
from gitward.sandboxes.supervisor_requests import Build, PrepareRequest, StartRequest
from gitward.sandboxes.walls import Wall

_FILE_SECONDS = 60.0  # for `read` and `write`
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CLOSE_SECONDS = 5.0  # that `close` waits for those who still consume output


class BubblewrapSandbox:
    """Made by `BubblewrapEngine.open`."""

    def __init__(
        self,
        *,
        name: str,
        resources: SandboxResources,
        endpoint: Endpoint,
        launcher: LauncherHandle,
        bwrap: str,
        on_close: Callable[[BubblewrapSandbox], None],
    ) -> None:
        self._launcher = launcher
        self.name = name
        self._resources = resources
        self._endpoint = endpoint
        self._spare = SpareSupervisor(partial(self._prepare, resources.plan.of_host()))
        self._series = SeriesPlaces(self._spare, endpoint)
        self._image_spare = None
        if resources.plan.image is not None:
            self._image_spare = SpareSupervisor(partial(self._prepare, resources.plan))
        self._bwrap = bwrap
        self._on_close = on_close
        self._busy: set[asyncio.Event] = set()  # one for each `run`, set when it is over
        self._running: set[CommandExecution] = set()
        self._closing: asyncio.Task[None] | None = None

    def warm_up(self) -> None:
        """Begins to make the first command's supervisor ready, of each system."""
        for spare in self._spares:
            spare.refill()

    @property
    def _spares(self) -> tuple[SpareSupervisor, ...]:
        return (self._spare,) if self._image_spare is None else (self._spare, self._image_spare)

    async def run(self, command: Command, on_output: OnOutput | None = None) -> Completed:
        check(command)
        return await self._run_to_its_end(self._job(command), on_output)

    async def _run_to_its_end(self, job: Job, on_output: OnOutput | None) -> Completed:
        over = asyncio.Event()
        self._busy.add(over)
        try:
            return await self._run(job, on_output)
        finally:
            self._busy.remove(over)
            over.set()

    async def _run(self, job: Job, on_output: OnOutput | None) -> Completed:
        group = self._resources.group
        kills = 0 if group is None else group.kills()
        completed = await self._run_in_one_that_lives(job, on_output)
        if group is not None and completed.exit_code != 0 and group.kills() > kills:
            return replace(completed, limit="memory")
        return completed

    async def _run_in_one_that_lives(self, job: Job, on_output: OnOutput | None) -> Completed:
        """Those that are ready may have died while they waited, as with their launcher, or for want of memory."""
        for _ in range(self._series.idle + 1):
            with contextlib.suppress(NotStarted):
                return await self._run_once(job, on_output)
        return await self._run_once(job, on_output)

    async def _run_once(self, job: Job, on_output: OnOutput | None) -> Completed:
        self._refuse_when_closed()
        if not job.command.in_series:
            await self._series.drop()  # what may run foreign code has no idle program of ours beside it
            return (await self._execute(job, await self._place(job.command), on_output))[0]
        place, stays = await self._series.take(last=job.command.last, is_patient=job.is_patient), False
        try:
            completed, stays = await self._execute(job, place, on_output)
            return completed
        finally:
            await self._series.give_back(place, stays=stays)

    async def _place(self, command: Command) -> SupervisedPlace:
        """For one command alone."""
        spare = (self._image_spare if command.in_image else None) or self._spare
        if command.last:
            for other in self._spares:
                if other is not spare:
                    await other.drop()
        return SupervisedPlace(await spare.take(last=command.last), self._endpoint)

    async def _execute(self, job: Job, place: SupervisedPlace, on_output: OnOutput | None) -> tuple[Completed, bool]:
        """How it went, and whether its place can serve another command."""
        try:
            self._refuse_when_closed()
        except SandboxError:
            await place.end()
            raise
        execution = CommandExecution(job, place, on_output)
        self._running.add(execution)
        try:
            return await execution.run(), execution.stays
        finally:
            self._running.remove(execution)

    def _refuse_when_closed(self) -> None:
        if self._closing is not None:
            raise SandboxError(f"the sandbox of {self.name} is closed")

    async def _prepare(self, plan: Plan) -> SupervisorHandle:
        resources, walls = self._resources, plan.walls
        prepare = PrepareRequest(
            uid=resources.uid,
            cgroup=None if resources.group is None else resources.group.entrance,
            network=Wall.NETWORK in walls,
            ports=ports_of(self._endpoint),
            build=self._build(),
            follows=Wall.FOLLOWS_PARENT in walls,
            forgets_keys=Wall.KEYS_FORGOTTEN in walls,
        )
        return await SupervisorHandle.prepare(
            self._launcher.send, prepare, claim=resources.lock, options=plan.options(), owner=resources.uid
        )

    def _build(self) -> Build:
        has = self._resources.plan.walls.__contains__
        return Build(
            bwrap=self._bwrap,
            rlimits=self._resources.plan.rlimits(),
            hides_options=has(Wall.OPTIONS_HIDDEN),
            empties_environment=has(Wall.ENVIRONMENT_EMPTY),
            closes_descriptors=has(Wall.DESCRIPTORS_CLOSED),
            filters_calls=has(Wall.SYSTEM_CALLS),
        )

    def _job(self, command: Command) -> Job:
        plan, resources = self._resources.plan, self._resources
        has = plan.walls.__contains__
        watched = resources.group is None and has(Wall.MEMORY_LIMIT)
        start = StartRequest(
            lock=resources.lock_path,
            timeout_seconds=command.timeout_seconds if has(Wall.TIME) else None,
            memory_bytes=plan.limits.memory_bytes if watched else None,
            disk_bytes=plan.limits.disk_bytes if has(Wall.DISK_LIMIT) and not command.makes_room else None,
            disk_paths=(str(plan.work), str(plan.home)),
            in_series=command.in_series,
            ends_all=has(Wall.ENDS_ALL),
        )
        return Job(start=start, command=command)

    async def read(self, path: str, *, limit: int) -> bytes:
        output = bytearray()
        errors = bytearray()

        async def keep(stream: Stream, piece: bytes) -> None:
            (output if stream is Stream.STDOUT else errors).extend(piece)

        argv = ("head", "-c", str(limit + 1), "--", path)
        command = Command(argv=argv, cwd="/", timeout_seconds=_FILE_SECONDS, in_series=True)
        completed = await self._run_patiently(command, keep)
        if completed.exit_code != 0:
            raise SandboxError(f"{path} could not be read in the sandbox: {_text(errors)}")
        if len(output) > limit:
            raise SandboxError(f"{path} is longer than {limit} bytes")
        return bytes(output)

    async def write(self, path: str, data: bytes, *, mode: int = 0o600) -> None:
        errors = bytearray()

        async def keep(_stream: Stream, piece: bytes) -> None:
            errors.extend(piece)

        argv = ("install", "-D", "-T", "-m", f"{mode:04o}", "--", "/dev/stdin", path)
        command = Command(argv=argv, cwd="/", stdin=data, timeout_seconds=_FILE_SECONDS, in_series=True)
        completed = await self._run_patiently(command, keep)
        if completed.exit_code != 0:
            raise SandboxError(f"{path} could not be written in the sandbox: {_text(errors)}")

    async def _run_patiently(self, command: Command, on_output: OnOutput) -> Completed:
        """What takes a moment needs no sandbox of its own beside a busy one."""
        check(command)
        return await self._run_to_its_end(replace(self._job(command), is_patient=True), on_output)

    def share_user(self) -> User:
        return self._resources.share_user()

    async def close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await descriptor_waits.uninterrupted(self._closing)

    async def _close(self) -> None:
        for execution in tuple(self._running):
            await execution.kill()
        for over in tuple(self._busy):
            # A consumer of output may hold a `run` back for ever; its processes are gone all the same.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await over.wait()
        try:
            await self._series.close()
            for spare in self._spares:
                await spare.close()
        finally:
            try:
                await asyncio.to_thread(self._resources.release)
            finally:
                self._on_close(self)


def check(command: Command) -> None:
    """A command that bubblewrap could not be told of is the caller's mistake."""
    strings = [*command.argv, command.cwd, *command.env, *command.env.values()]
    if not command.argv or not command.argv[0]:
        raise ValueError("a command needs a program")
    if any("\0" in string for string in strings):
        raise ValueError("an argument or a variable contains NUL")
    if command.argv[0].startswith("-"):
        raise ValueError("the name of a program must not begin with a hyphen")  # the shell takes it for an option
    if not all(_VARIABLE.fullmatch(name) for name in command.env):
        raise ValueError(
            "the name of a variable must have letters, digits and underscores only, and not begin with a digit"
        )
    if not PurePosixPath(command.cwd).is_absolute():
        raise ValueError("the working folder must be an absolute path inside the sandbox")
    if command.in_series and (command.in_image or command.source is not None):
        raise ValueError("a command in series is the host's, and its input is known before")
    if not command.timeout_seconds > 0:
        raise ValueError("a command needs a time limit above zero")


def _text(raw: bytearray) -> str:
    return bytes(raw[:2048]).decode("utf-8", "replace").strip() or "no message"
