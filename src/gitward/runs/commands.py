"""Running commands in the run's sandbox: each within the time that is left, each exit status looked at."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from gitward.errors import Reason, RunFailure
from gitward.runs.output import OutputLog
from gitward.runs.supervision import STEP_SECONDS, timed_out
from gitward.sandboxes import HOME_DIR, WORK_DIR, Command, Sandbox, Stream
from gitward.sessions.model import ArtifactKind, StepName

CHECKOUT_DIR = f"{WORK_DIR}/repo"
# What a checkout that foreign code has touched must not decide about our own git commands.
SAFE_GIT = ("git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "gc.auto=0")
# A git that was killed leaves its locks behind, and the next one refuses to work. Between our commands nobody has one.
REMOVE_LOCKS = ("find", ".git", "-name", "*.lock", "-delete")
_TAIL_BYTES = 2000
MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended."""

    exit_code: int
    output: bytes  # of standard output, when it was captured
    tail: str  # the last lines that it wrote to standard error, redacted


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What the database has of a checkout's work."""

    head: str
    kinds: tuple[ArtifactKind, ...]  # one at least


class Commands:
    """The sandbox of one attempt, with its deadline."""

    def __init__(self, sandbox: Sandbox, output: OutputLog, *, deadline: float, seconds: float) -> None:
        self.sandbox = sandbox
        self._output = output
        self._deadline = deadline  # of time.monotonic()
        self._late = timed_out(seconds)
        self.checked_out = False  # whether CHECKOUT_DIR is a checkout of this run
        self.kept: Kept | None = None  # of its work, in the database
        self.pushing: str | None = None  # the head of a push of which it is not known whether it arrived

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

    async def run(
        self,
        step: StepName,
        argv: Sequence[str],
        *,
        cwd: str = CHECKOUT_DIR,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
    ) -> Ended:
        """Runs a command whose output belongs to the session's log.

        :raises RunFailure: `timed_out`, or `sandbox_failed` when it hit a limit of the sandbox.
        """
        tail = bytearray()
        async with self._output.stream(step) as sink:

            async def both(stream: Stream, piece: bytes) -> None:
                if stream is Stream.STDERR:
                    tail.extend(piece)
                    del tail[:-_TAIL_BYTES]
                await sink(stream, piece)

            command = self._command(argv, cwd=cwd, env=env, stdin=stdin)
            completed = await self.sandbox.run(command, both)
        self._check(completed.timed_out, completed.limit)
        return Ended(exit_code=completed.exit_code, output=b"", tail=self._output.last_lines(bytes(tail)))

    async def capture(self, argv: Sequence[str], *, limit: int, cwd: str = CHECKOUT_DIR, stdin: bytes = b"") -> Ended:
        """Runs a command whose standard output is data for us, at most `limit` bytes of it.

        :raises RunFailure: as `run`; OutputTooLong, as soon as the output is, which ends the command.
        """
        data, tail = bytearray(), bytearray()

        async def sink(stream: Stream, piece: bytes) -> None:
            if stream is Stream.STDERR:
                tail.extend(piece)
                del tail[:-_TAIL_BYTES]
            elif len(data) + len(piece) > limit:
                raise OutputTooLong(argv[0], limit)
            else:
                data.extend(piece)

        completed = await self.sandbox.run(self._command(argv, cwd=cwd, stdin=stdin), sink)
        self._check(completed.timed_out, completed.limit)
        tail_text = self._output.last_lines(bytes(tail))
        return Ended(exit_code=completed.exit_code, output=bytes(data), tail=tail_text)

    async def make_room(self, argv: Sequence[str]) -> bytes:
        """Runs a command that removes files, or looks for those to remove; its output, cut at 1 MiB.

        The disk limit does not end it. What it does not manage is left as it is.
        """
        data = bytearray()

        async def sink(stream: Stream, piece: bytes) -> None:
            if stream is Stream.STDOUT and len(data) < MIB:
                data.extend(piece)

        await self.sandbox.run(replace(self._command(argv, cwd=CHECKOUT_DIR), makes_room=True), sink)
        return bytes(data)

    def _command(
        self, argv: Sequence[str], *, cwd: str, env: Mapping[str, str] | None = None, stdin: bytes = b""
    ) -> Command:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise self._late
        return Command(argv=tuple(argv), cwd=cwd, env=dict(env or {}), stdin=stdin, timeout_seconds=left)

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
