"""One command, from the worker's side: its pipes, its supervisor, and the endpoint's listeners."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
from dataclasses import dataclass

from gitward.grants import channel
from gitward.grants.endpoint import Endpoint
from gitward.sandboxes import descriptor_waits
from gitward.sandboxes.bwrap_process import script
from gitward.sandboxes.protocol import Command, Completed, OnOutput, SandboxError, Stream
from gitward.sandboxes.supervisor_handle import END_SECONDS, SupervisorHandle, failure
from gitward.sandboxes.supervisor_requests import GRACE_SECONDS, StartRequest

PIECE = 64 * 1024  # bytes of output handed on at once
_SETUP_SECONDS = 60.0  # until bubblewrap has made the sandbox
_TAIL = 2048  # bytes of standard error kept for the text of an error
_KILLED = 128 + signal.SIGKILL
_FILE_TOO_LONG = 128 + signal.SIGXFSZ


@dataclass(frozen=True, kw_only=True)
class Job:
    """What an execution is given."""

    start: StartRequest
    command: Command
    endpoint: Endpoint


class CommandExecution:
    """Runs one command under one supervisor, which it ends. `run` it once; `kill` may be called at any time."""

    def __init__(self, job: Job, link: SupervisorHandle, on_output: OnOutput | None) -> None:
        self._job = job
        self._link = link
        self._on_output = on_output
        self._held = contextlib.AsyncExitStack()  # released in the end, whatever happened
        self._started = asyncio.Event()  # the command was let go
        self._outputs = link.streams.outputs
        self._cancelled = False
        self._tail = b""

    async def run(self) -> Completed:
        """The command's whole life. However it is left, no process of the command remains."""
        self._held.callback(self._link.close)
        try:
            await self._launch()
            await self._attach()
            await (self._link.kill() if self._cancelled else self._link.go())
            return await self._to_the_end()
        finally:
            await descriptor_waits.uninterrupted(self._clean_up())

    async def kill(self) -> None:
        """Ends the command; `run` then returns with `cancelled`."""
        self._cancelled = True
        await self._link.kill()

    async def _launch(self) -> None:
        """Hands the command to the supervisor."""
        if not self._job.command.has_input:
            self._link.streams.end_input()
        await self._link.start(self._job.start, script(self._job.command))

    async def _attach(self) -> None:
        if self._link.listeners:
            name = await self._job.endpoint.attach(self._link.listeners)
            self._held.push_async_callback(self._job.endpoint.detach, name)

    async def _to_the_end(self) -> Completed:
        """Moves output and input until the supervisor has reported. A consumer that fails ends the command."""
        try:
            async with asyncio.TaskGroup() as tasks:
                report = tasks.create_task(self._report())
                for stream in self._outputs:
                    tasks.create_task(self._pump(stream))
                if self._job.command.has_input:
                    feeding = tasks.create_task(self._feed())
                    report.add_done_callback(lambda _: feeding.cancel())
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return report.result()

    async def _report(self) -> Completed:
        message = await self._last_message()
        if "ended" in message:
            exit_code, limit = int(message["exit_code"]), message["limit"]
            return Completed(
                exit_code=exit_code,
                timed_out=bool(message["timed_out"]),
                cancelled=self._cancelled,
                seconds=float(message["seconds"]),
                limit="disk" if limit is None and exit_code == _FILE_TOO_LONG else limit,
            )
        if self._cancelled:
            return Completed(exit_code=_KILLED, timed_out=False, cancelled=True, seconds=0.0, limit=None)
        raise failure(message, self._rest_of(Stream.STDERR))

    async def _last_message(self) -> channel.Message:
        """What the supervisor tells at the end; nothing when the command was cancelled."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _SETUP_SECONDS
        while True:
            try:
                message = await self._link.hear()
            except SandboxError:
                if self._cancelled:
                    return {}
                raise
            if "started" in message:
                self._started.set()
            if "started" in message and self._job.start.timeout_seconds is not None:
                deadline = loop.time() + self._job.start.timeout_seconds + GRACE_SECONDS + END_SECONDS
            elif "started" in message:
                deadline = math.inf
            elif "alive" not in message:
                return message
            elif loop.time() > deadline:
                raise SandboxError("a sandbox does not end; is the machine overloaded?")

    async def _pump(self, stream: Stream) -> None:
        """Hands output on until every writer has ended."""
        descriptor = self._outputs[stream]
        while True:
            await descriptor_waits.readable(descriptor)
            piece = os.read(descriptor, PIECE)
            if not piece:
                return
            if stream is Stream.STDERR:
                self._tail = (self._tail + piece)[-_TAIL:]
            if self._on_output is not None:
                await self._on_output(stream, piece)

    def _rest_of(self, stream: Stream) -> bytes:
        """The last of an output, with what is not read yet."""
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self._outputs[stream], PIECE):
                self._tail = (self._tail + piece)[-_TAIL:]
        return self._tail

    async def _feed(self) -> None:
        """Writes the input until its end, or until the command's. Who no longer reads does not hold the source."""
        command, stdin = self._job.command, self._link.streams.stdin
        if command.source is None:
            await descriptor_waits.write_all(stdin, command.stdin)
        else:
            await self._started.wait()  # else a supervisor that dies before takes the first of it along
            async for piece in command.source:
                await descriptor_waits.write_all(stdin, piece)
        self._link.streams.end_input()

    async def _clean_up(self) -> None:
        """Ends what still runs, waits for it, and releases all that is held."""
        try:
            if not await self._link.end():
                await self._until_silent()
        finally:
            await self._held.aclose()

    async def _until_silent(self) -> None:
        """After a supervisor that died without a word: its processes die with it, and their output ends."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                for descriptor in self._outputs.values():
                    await descriptor_waits.readable(descriptor)
                    while os.read(descriptor, PIECE):
                        await descriptor_waits.readable(descriptor)
