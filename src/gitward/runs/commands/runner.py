"""Running commands in the run's sandbox: each within the time that is left, each exit status looked at."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterable, Iterator, Mapping, Sequence
from dataclasses import replace

from gitward.errors import Reason, RunFailure
from gitward.repositories.checkout import CHECKOUT_DIR
from gitward.repositories.git import CommandResult
from gitward.runs.commands.deadline import STEP_SECONDS, timed_out
from gitward.runs.commands.output import OutputLog, last_lines
from gitward.sandboxes import HOME_DIR, Command, Completed, OnOutput, Sandbox, Stream
from gitward.sessions.model import StepName

_COMPLAINT_BYTES = 64 * 1024  # of standard error, from its end


class CommandRunner:
    """The sandbox of one attempt, with its deadline."""

    def __init__(
        self, sandbox: Sandbox, output: OutputLog, *, deadline: float, seconds: float, in_series: bool = False
    ) -> None:
        """:param in_series: its commands run no foreign code, whatever lies in their way: see `Command.in_series`."""
        self.sandbox = sandbox
        self._in_series = in_series
        self._output = output
        self._deadline = deadline  # of time.monotonic()
        self._late = timed_out(seconds)

    @property
    def seconds_left(self) -> float:
        """Until commands end for want of time."""
        return max(0.0, self._deadline - time.monotonic())

    @contextlib.contextmanager
    def within(self, step: StepName, limits: Mapping[StepName, float] = STEP_SECONDS) -> Iterator[None]:
        """In this block commands end with the step's own limit, where that comes before the run's."""
        before, seconds = (self._deadline, self._late), limits[step]
        if time.monotonic() + seconds < self._deadline:
            self._deadline, self._late = time.monotonic() + seconds, timed_out(seconds, step)
        try:
            yield
        finally:
            self._deadline, self._late = before

    @contextlib.contextmanager
    def in_series(self) -> Iterator[None]:
        """In this block no command runs foreign code: see `Command.in_series`."""
        before, self._in_series = self._in_series, True
        try:
            yield
        finally:
            self._in_series = before

    async def run(
        self,
        step: StepName,
        argv: Sequence[str],
        *,
        cwd: str = CHECKOUT_DIR,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        in_image: bool = False,
        last: bool = False,
    ) -> CommandResult:
        """Runs a command whose output belongs to the session's log.

        :param in_image: finds the tools of the run's environment.
        :param last: of its sandbox.
        :raises RunFailure: `timed_out`, or `sandbox_failed` when it hit a limit of the sandbox.
        """
        complaint = bytearray()
        async with self._output.stream(step) as sink:

            async def both(stream: Stream, piece: bytes) -> None:
                if stream is Stream.STDERR:
                    complaint.extend(piece)
                    del complaint[:-_COMPLAINT_BYTES]
                await sink(stream, piece)

            command = self._command(argv, cwd=cwd, env=env, stdin=stdin)
            command = replace(command, in_image=in_image, last=last, in_series=command.in_series and not in_image)
            completed = await self.sandbox.run(command, both)
        self._check(completed.timed_out, completed.limit)
        return self._ended(completed.exit_code, b"", complaint)

    async def capture(
        self,
        argv: Sequence[str],
        *,
        limit: int,
        cwd: str = CHECKOUT_DIR,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
    ) -> CommandResult:
        """Runs a command whose standard output is data for us, at most `limit` bytes of it.

        :raises RunFailure: as `run`; OutputTooLong, as soon as the output is, which ends the command.
        """
        data, complaint = bytearray(), bytearray()

        async def sink(stream: Stream, piece: bytes) -> None:
            if stream is Stream.STDERR:
                complaint.extend(piece)
                del complaint[:-_COMPLAINT_BYTES]
            elif len(data) + len(piece) > limit:
                raise OutputTooLong(argv[0], limit)
            else:
                data.extend(piece)

        completed = await self.sandbox.run(self._command(argv, cwd=cwd, env=env, stdin=stdin), sink)
        self._check(completed.timed_out, completed.limit)
        return self._ended(completed.exit_code, bytes(data), complaint)

    async def attend(
        self,
        argv: Sequence[str],
        sink: OnOutput,
        *,
        source: AsyncIterable[bytes],
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        """Runs a program of the run's environment that is spoken to while it runs.

        :raises RunFailure: as `run`.
        """
        command = self._command(argv, cwd=CHECKOUT_DIR, env=env, source=source)
        completed = await self.sandbox.run(replace(command, in_image=True, in_series=False), sink)
        self._check(completed.timed_out, completed.limit)
        return completed

    @contextlib.contextmanager
    def complaining(self) -> Iterator[None]:
        """:raises RunFailure: `timed_out`, in place of TimeoutError."""
        try:
            yield
        except TimeoutError:
            raise self._late from None

    def _ended(self, exit_code: int, output: bytes, complaint: bytearray) -> CommandResult:
        text = self._output.masked(bytes(complaint))
        return CommandResult(exit_code=exit_code, output=output, tail=last_lines(text), complaint=text)

    def _command(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        source: AsyncIterable[bytes] | None = None,
    ) -> Command:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise self._late
        return Command(
            argv=tuple(argv),
            cwd=cwd,
            env=dict(env or {}),
            stdin=stdin,
            source=source,
            timeout_seconds=left,
            in_series=self._in_series,
        )

    def _check(self, was_timed_out: bool, limit: str | None) -> None:
        if was_timed_out:
            raise self._late
        if limit is not None:
            raise LimitReached(limit)


class LimitReached(RunFailure):
    """A guard of the sandbox ended a command."""

    def __init__(self, limit: str) -> None:
        setting = f"it is set by GITWARD_{limit.upper()}"
        super().__init__(Reason.SANDBOX_FAILED, f"The command reached the sandbox's limit of {limit}; {setting}.")


class OutputTooLong(RunFailure):
    """A command wrote more than its caller can keep."""

    def __init__(self, program: str, limit: int) -> None:
        super().__init__(Reason.INTERNAL, f"The output of {program} is longer than {limit} bytes.")


HOME = HOME_DIR
