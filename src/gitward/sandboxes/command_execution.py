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
    options: tuple[str, ...]  # bubblewrap's
    command: Command
    endpoint: Endpoint
    owner: int | None  # the uid that pipes belong to, so that /dev/stdout can be opened inside


class CommandExecution:
    """Runs one command under one supervisor, which it ends. `run` it once; `kill` may be called at any time."""

    def __init__(self, job: Job, link: SupervisorHandle, on_output: OnOutput | None) -> None:
        self._job = job
        self._link = link
        self._on_output = on_output
        self._held = contextlib.AsyncExitStack()  # released in the end, whatever happened
        self._stdin: int | None = None
        self._outputs: dict[Stream, int] = {}
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
        with contextlib.ExitStack() as given:
            stdin = self._input(given)
            out, err = (self._output(given, stream) for stream in (Stream.STDOUT, Stream.STDERR))
            options = _strings(given, "options", self._job.options)
            argv = _strings(given, "argv", self._job.command.argv)
            await self._link.start(self._job.start, (stdin, out, err, options, argv))

    def _input(self, given: contextlib.ExitStack) -> int:
        if not self._job.command.stdin:
            return _held(given, os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        reader, self._stdin = self._pipe()
        os.set_blocking(self._stdin, False)
        self._held.callback(self._close_stdin)
        return _held(given, reader)

    def _output(self, given: contextlib.ExitStack, stream: Stream) -> int:
        reader, writer = self._pipe()
        os.set_blocking(reader, False)
        self._outputs[stream] = reader
        self._held.callback(os.close, reader)
        return _held(given, writer)

    def _pipe(self) -> tuple[int, int]:
        reader, writer = os.pipe2(os.O_CLOEXEC)
        if self._job.owner is not None:
            os.fchown(writer, self._job.owner, self._job.owner)
        return reader, writer

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
                if self._stdin is not None:
                    tasks.create_task(self._feed(self._stdin))
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

    async def _feed(self, stdin: int) -> None:
        await descriptor_waits.write_all(stdin, self._job.command.stdin)
        self._close_stdin()

    def _close_stdin(self) -> None:
        if self._stdin is not None:
            os.close(self._stdin)
            self._stdin = None

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


def _held(stack: contextlib.ExitStack, descriptor: int) -> int:
    stack.callback(os.close, descriptor)
    return descriptor


def _strings(stack: contextlib.ExitStack, name: str, strings: tuple[str, ...]) -> int:
    """A nameless file with the strings, each ended by NUL, to be read from its beginning."""
    descriptor = _held(stack, os.memfd_create(name, os.MFD_CLOEXEC))
    data = memoryview(b"".join(os.fsencode(string) + b"\0" for string in strings))
    while data:
        data = data[os.write(descriptor, data) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
