"""An open sandbox of the bubblewrap engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePosixPath

from gitward.grants.endpoint import Endpoint
from gitward.sandboxes import readiness
from gitward.sandboxes.execution import Execution, Job
from gitward.sandboxes.launch import Prepare, Start
from gitward.sandboxes.launcher_process import LauncherProcess
from gitward.sandboxes.protocol import Command, Completed, OnOutput, SandboxError, Stream
from gitward.sandboxes.spare import Spare
from gitward.sandboxes.supervisor_link import SupervisorLink
from gitward.sandboxes.tenancy import Tenancy
from gitward.sandboxes.walls import Wall

_FILE_SECONDS = 60.0  # for `read` and `write`
_CLOSE_SECONDS = 5.0  # that `close` waits for those who still consume output


class BubblewrapSandbox:
    """Made by `BubblewrapEngine.open`."""

    def __init__(
        self,
        *,
        name: str,
        tenancy: Tenancy,
        endpoint: Endpoint,
        launcher: LauncherProcess,
        bwrap: str,
        on_close: Callable[[BubblewrapSandbox], None],
    ) -> None:
        self._launcher = launcher
        self.name = name
        self._tenancy = tenancy
        self._endpoint = endpoint
        self._spare = Spare(self._prepare)
        self._bwrap = bwrap
        self._on_close = on_close
        self._running: dict[Execution, asyncio.Event] = {}
        self._closing: asyncio.Task[None] | None = None

    async def run(self, command: Command, on_output: OnOutput | None = None) -> Completed:
        if self._closing is not None:
            raise SandboxError(f"the sandbox of {self.name} is closed")
        _check(command)
        group = self._tenancy.group
        kills = 0 if group is None else group.kills()
        link = await self._spare.take()
        execution = Execution(self._job(command), link, on_output)
        ended = self._running[execution] = asyncio.Event()
        try:
            completed = await execution.run()
        finally:
            del self._running[execution]
            ended.set()
        if group is not None and completed.exit_code != 0 and group.kills() > kills:
            return replace(completed, limit="memory")
        return completed

    async def _prepare(self) -> SupervisorLink:
        tenancy, walls = self._tenancy, self._tenancy.plan.walls
        prepare = Prepare(
            uid=tenancy.uid,
            cgroup=None if tenancy.group is None else tenancy.group.entrance,
            network=Wall.NETWORK in walls,
            ports=tuple(sorted({address.port for address in self._endpoint.addresses})),
            follows=Wall.FOLLOWS_PARENT in walls,
        )
        return await SupervisorLink.prepare(self._launcher.send, prepare, claim=tenancy.claim)

    def _job(self, command: Command) -> Job:
        plan, tenancy = self._tenancy.plan, self._tenancy
        has = plan.walls.__contains__
        watched = tenancy.group is None and has(Wall.MEMORY_LIMIT)
        start = Start(
            bwrap=self._bwrap,
            claim=tenancy.claim_path,
            rlimits=plan.rlimits(),
            timeout_seconds=command.timeout_seconds if has(Wall.TIME) else None,
            memory_bytes=plan.limits.memory_bytes if watched else None,
            disk_bytes=plan.limits.disk_bytes if has(Wall.DISK_LIMIT) else None,
            disk_paths=(str(plan.work), str(plan.home)),
            hides_options=has(Wall.OPTIONS_HIDDEN),
            empties_environment=has(Wall.ENVIRONMENT_EMPTY),
            closes_descriptors=has(Wall.DESCRIPTORS_CLOSED),
            ends_all=has(Wall.ENDS_ALL),
        )
        options = plan.options(cwd=command.cwd, env=command.env)
        return Job(start=start, options=options, command=command, endpoint=self._endpoint, owner=tenancy.uid)

    async def read(self, path: str, *, limit: int) -> bytes:
        output = bytearray()
        errors = bytearray()

        async def keep(stream: Stream, piece: bytes) -> None:
            (output if stream is Stream.STDOUT else errors).extend(piece)

        argv = ("head", "-c", str(limit + 1), "--", path)
        completed = await self.run(Command(argv=argv, cwd="/", timeout_seconds=_FILE_SECONDS), keep)
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
        command = Command(argv=argv, cwd="/", stdin=data, timeout_seconds=_FILE_SECONDS)
        completed = await self.run(command, keep)
        if completed.exit_code != 0:
            raise SandboxError(f"{path} could not be written in the sandbox: {_text(errors)}")

    async def close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await readiness.uninterrupted(self._closing)

    async def _close(self) -> None:
        await self._spare.close()
        running = dict(self._running)
        for execution in running:
            await execution.kill()
        for ended in running.values():
            try:
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await ended.wait()
            except TimeoutError:
                continue  # a consumer of output holds `run` back; its processes are gone all the same
        try:
            await asyncio.to_thread(self._tenancy.release)
        finally:
            self._on_close(self)


def _check(command: Command) -> None:
    """A command that bubblewrap could not be told of is the caller's mistake."""
    strings = [*command.argv, command.cwd, *command.env, *command.env.values()]
    if not command.argv or not command.argv[0]:
        raise ValueError("a command needs a program")
    if any("\0" in string for string in strings):
        raise ValueError("an argument or a variable contains NUL")
    if any(not name or "=" in name for name in command.env):
        raise ValueError("the name of a variable is empty or contains '='")
    if not PurePosixPath(command.cwd).is_absolute():
        raise ValueError("the working folder must be an absolute path inside the sandbox")
    if command.timeout_seconds <= 0:
        raise ValueError("a command needs a time limit above zero")


def _text(raw: bytearray) -> str:
    return bytes(raw[:2048]).decode("utf-8", "replace").strip() or "no message"
