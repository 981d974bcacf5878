"""One command, from the worker's side: its pipes and its supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
from dataclasses import dataclass

from gitward.grants import channel
from gitward.sandboxes import descriptor_waits
from gitward.sandboxes.bwrap_process import script
from gitward.sandboxes.protocol import Command, Completed, OnOutput, SandboxError, Stream
from gitward.sandboxes.supervised_place import SupervisedPlace
from gitward.sandboxes.supervisor_handle import END_SECONDS, failure
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
    is_patient: bool = False  # in series: waits for a place that is there, in place of a further one


class CommandExecution:
    """Runs one command in a place, which it ends, unless another of the same series may follow there.

    `run` it once; `kill` may be called at any time.
    """

    def __init__(self, job: Job, place: SupervisedPlace, on_output: OnOutput | None) -> None:
        self._job = job
        self._place = place
        self._link = place.link
        self._on_output = on_output
        self._started = asyncio.Event()  # the command was let go
        self._outputs = place.link.streams.outputs
        self._wakes = {stream: asyncio.Event() for stream in self._outputs}  # who reads an output looks again
        self._over = False  # the command has ended: all that it wrote can be read
        self._went_well = False
        self._cancelled = False
        self._tail = b""

    async def run(self) -> Completed:
        """The command's whole life. However it is left, no process of the command remains."""
        try:
            await self._launch()
            await self._place.attach()
            await (self._link.kill() if self._cancelled else self._link.go())
            completed = await self._to_the_end()
            self._went_well = not self._cancelled
            return completed
        finally:
            await descriptor_waits.uninterrupted(self._clean_up())

    @property
    def stays(self) -> bool:
        """Whether its place can serve another command of the same series."""
        return self._went_well and self._link.stays

    async def kill(self) -> None:
        """Ends the command; `run` then returns with `cancelled`."""
        self._cancelled = True
        await self._link.kill()

    async def _launch(self) -> None:
        """Hands the command to the supervisor."""
        command = self._job.command
        if command.in_series or not command.has_input:
            self._link.streams.end_input()
        await self._link.start(self._job.start, script(command), command.stdin if command.in_series else b"")

    async def _to_the_end(self) -> Completed:
        """Moves output and input until the supervisor has reported. A consumer that fails ends the command."""
        try:
            async with asyncio.TaskGroup() as tasks:
                report = tasks.create_task(self._report())
                for stream in self._outputs:
                    tasks.create_task(self._pump(stream))
                if self._job.command.has_input and not self._job.command.in_series:
                    feeding = tasks.create_task(self._feed())
                    report.add_done_callback(lambda _: feeding.cancel())
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return report.result()

    async def _report(self) -> Completed:
        message = await self._last_message()
        self._over = True
        for wake in self._wakes.values():
            wake.set()
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
        """Hands output on until every writer has ended; in series, until the command has, and nothing is left."""
        while piece := await self._piece(stream):
            if stream is Stream.STDERR:
                self._tail = (self._tail + piece)[-_TAIL:]
            if self._on_output is not None:
                await self._on_output(stream, piece)
            await asyncio.sleep(0)  # who writes without a pause leaves others their turn

    async def _piece(self, stream: Stream) -> bytes:
        """The next one; none in the end."""
        while True:
            with contextlib.suppress(BlockingIOError):
                return os.read(self._outputs[stream], PIECE)
            if self._over and self._link.stays:
                return b""
            self._wakes[stream].clear()
            await descriptor_waits.readable(self._outputs[stream], self._wakes[stream])

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
        """Ends what still runs, waits for it, and releases all that is held; not what serves the next of a series."""
        if self.stays:
            self._link.streams.forget()
            return
        try:
            if not await self._link.end():
                await self._until_silent()
        finally:
            await self._place.release()

    async def _until_silent(self) -> None:
        """After a supervisor that died without a word: its processes die with it, and their output ends."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                for descriptor in self._outputs.values():
                    await descriptor_waits.readable(descriptor)
                    while os.read(descriptor, PIECE):
                        await descriptor_waits.readable(descriptor)
