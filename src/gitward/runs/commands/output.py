"""Output of commands as events: redacted, decoded, bounded, gathered into few writes."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import logging
from collections import deque
from collections.abc import Mapping

from gitward.runs.attempt import Attempt, being_stopped
from gitward.runs.commands.log_entries import PIECE_CHARACTERS, OtherEvent, Piece
from gitward.sandboxes import Stream
from gitward.sessions.model import EventType, StepName
from gitward.store.database import PASSING_ERRORS, uninterrupted
from gitward.telemetry.redaction import RedactedStream, Redactor
from gitward.workers.persistence import pauses

log = logging.getLogger(__name__)

HEAD_BYTES = 8 * 1024 * 1024  # of a run, counted as it is stored; what comes after is not kept …
TAIL_BYTES = 64 * 1024  # … but for this much at the end
FLUSH_SECONDS = 0.05  # output that comes faster is gathered into one write
SILENCE_SECONDS = 0.5  # an unfinished line (a prompt, a progress bar) is shown after so long
FULL_SECONDS = 20.0  # that a command waits for room on the database's disk; then its output goes on, and is not kept


class OutputLog:
    """Takes the output of a run's commands, piece by piece; shared by all steps of an attempt."""

    def __init__(self, attempt: Attempt, redactor: Redactor) -> None:
        self._attempt = attempt
        self._redactor = redactor
        self._room = HEAD_BYTES
        self._tail: deque[Piece] = deque()
        self._tail_size = 0
        self._dropped = self._told = False
        self._batch: list[Piece | OtherEvent] = []
        self._writing = asyncio.Lock()  # one write at a time keeps the order
        self._full_since: float | None = None  # of the database's disk
        self._lost = False  # a part of the output, for want of room
        self._ended = False  # the last command

    def stream(self, step: StepName) -> StepOutput:
        """A sink for one command; close it when the command has ended."""
        return StepOutput(self, step, self._redactor)

    def masked(self, data: bytes) -> str:
        """A text of a command, redacted."""
        return self._redactor.mask(data).decode("utf-8", "replace").replace("\0", "\ufffd")

    async def add(self, step: StepName, stream: Stream, text: str) -> None:
        for start in range(0, len(text), PIECE_CHARACTERS):
            self._place(Piece(step=step, stream=stream, text=text[start : start + PIECE_CHARACTERS]))
        if self._length >= 4 * PIECE_CHARACTERS:
            await self.flush()

    def put(self, kind: EventType, data: Mapping[str, object], *, anyway: bool = False) -> bool:
        """An event that has its place among the output, and room where output has it; False: there is no more."""
        event = OtherEvent(kind=kind, data=data)
        if not anyway and (self._room < event.length or self._tail):
            self._dropped = True
            return False
        self._room -= event.length
        self._batch.append(event)
        return True

    @property
    def _length(self) -> int:
        """Of what is gathered."""
        return sum(each.length for each in self._batch)

    def _place(self, piece: Piece) -> None:
        size = piece.stored_size
        if self._room >= size and not self._tail:
            self._room -= size
            self._gather(piece)
            return
        self._tail.append(piece)
        self._tail_size += size
        while self._tail_size > TAIL_BYTES and len(self._tail) > 1:
            self._dropped = True
            self._tail_size -= self._tail.popleft().stored_size

    def _gather(self, piece: Piece) -> None:
        last = self._batch[-1] if self._batch else None
        joined = last.with_next(piece) if isinstance(last, Piece) else None
        if joined is None:
            self._batch.append(piece)
        else:
            self._batch[-1] = joined

    async def flush(self, until: asyncio.Event | None = None) -> None:
        """Writes what is gathered. While the database cannot take it, the command waits, once its pipe is full.

        What cannot be written stays for the next call, when this one is cancelled or `until` is set.
        """
        until = until or asyncio.Event()
        async with self._writing:
            for pause in pauses():
                why = await self._try_to_write()
                if why is None:
                    return
                log.warning("Output cannot be written yet (%s); next try in %g s", why, pause)
                if being_stopped() or until.is_set():
                    return
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await until.wait()

    @property
    def is_held(self) -> bool:
        """Whether output waits for room on the disk of the database, which may come by the end of this very run."""
        return self._attempt.services.database.is_low

    async def _try_to_write(self) -> str | None:
        """Why the database does not take what is gathered now; None: it need not be tried again."""
        if not self._batch:
            return None
        if self._attempt.services.database.is_low and (waits := self._is_held()) is not None:
            return "its disk is full" if waits else None
        try:
            await uninterrupted(self._write())  # a cancellation in the middle would lose what is under way
        except PASSING_ERRORS as error:
            self._attempt.services.lease.require()  # it is written by nobody then; see `persist`
            return type(error).__name__
        self._full_since = None
        return None

    def _is_held(self) -> bool | None:
        """On a full disk, whose last room is for the ends of runs: the command waits (True), then loses output (False).

        None: it has ended, and its last lines are written.
        """
        now = asyncio.get_running_loop().time()
        self._full_since = self._full_since or now
        if not self._ended and now - self._full_since < FULL_SECONDS:
            return True
        while self._length > TAIL_BYTES and len(self._batch) > 1:
            del self._batch[0]
            self._lost = True
        return None if self._ended else False

    async def _write(self) -> None:
        """Tells what is gathered; keeps it when the database refuses."""
        batch, self._batch = self._batch, []
        try:
            await self._attempt.record_now(*(each.entry() for each in batch))
        except Exception:
            self._batch[:0] = batch
            raise

    async def finish(self) -> None:
        """Writes what is left, and the tail when the middle was not kept."""
        self._ended = True
        await self.flush()
        if self._lost:
            self._lost = False
            await self._attempt.notice("The disk of the database was full: a part of the output is not kept.")
        if self._dropped and not self._told:
            self._told = True
            attempt = self._attempt
            await attempt.write(lambda tx: attempt.services.progress.record_truncated_output(tx, attempt.hold))
            await self._attempt.notice("The output was too long: its middle is not kept.")
        for piece in self._tail:
            self._gather(piece)
        self._tail.clear()
        self._tail_size = 0
        self._room = 0
        await self.flush()


class StepOutput:
    """The two streams of one command. Use as an async context manager; call it with each piece."""

    def __init__(self, log: OutputLog, step: StepName, redactor: Redactor) -> None:
        self._log = log
        self._step = step
        self._redacted = {stream: RedactedStream(redactor) for stream in Stream}
        self._decoders = {stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in Stream}
        self._ticker: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()
        self._last_piece_at = asyncio.get_running_loop().time()

    async def __aenter__(self) -> StepOutput:
        self._ticker = asyncio.create_task(self._tick())
        return self

    async def __call__(self, stream: Stream, piece: bytes) -> None:
        self._last_piece_at = asyncio.get_running_loop().time()
        await self._show(stream, self._redacted[stream].feed(piece))

    async def _show(self, stream: Stream, data: bytes, *, final: bool = False) -> None:
        text = self._decoders[stream].decode(data, final).replace("\0", "\ufffd")
        if text:
            await self._log.add(self._step, stream, text)

    async def _tick(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_SECONDS):
                    await self._ended.wait()
            if asyncio.get_running_loop().time() - self._last_piece_at > SILENCE_SECONDS:
                for stream in Stream:
                    await self._show(stream, self._redacted[stream].pause())
            await self._log.flush(self._ended)

    async def __aexit__(self, *_: object) -> None:
        assert self._ticker is not None
        self._ended.set()
        await self._ticker
        for stream in Stream:
            await self._show(stream, self._redacted[stream].flush(), final=True)
        await self._log.flush(self._ended if self._log.is_held else None)


def last_lines(text: str) -> str:
    """The end of an error text, on one line and 500 characters at most, for a person to read."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-4:])[-500:]
