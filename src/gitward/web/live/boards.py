"""A running run as its pages see it: events are gathered, rendered once, and sent to everybody who watches."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gitward.errors import GitwardError
from gitward.sessions import artifacts, run_log
from gitward.sessions.live_events import EncodedEvent, LiveEvents
from gitward.sessions.model import ArtifactKind, EventType, Owner, Run, Session
from gitward.sessions.service import SessionService
from gitward.store.database import PASSING_ERRORS, Database, Transaction
from gitward.web.conversation import Conversation, Item
from gitward.web.live.messages import ended, items, lines, partials, stale

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.1  # between two frames, and so much more …
GATHER_FOR_EACH = 0.003  # … for each page: what a frame costs grows with them
MOST_EVENTS = 20_000  # of one frame
KEPT_BYTES = 1024 * 1024  # of frames, for a page that comes back
TICK_SECONDS = 15.0  # in which the head is told again while the run goes on, for its times
QUIET = frozenset({EventType.OUTPUT, EventType.AGENT_MESSAGE, EventType.AGENT_THOUGHT, EventType.AGENT_TOOL})


@dataclass(frozen=True, kw_only=True)
class View:
    """The session and the run that a page shows."""

    session: Session
    run: Run
    has_work: bool = False  # something of the run's work is kept
    has_submodules: bool = False  # the same of work inside submodules


def view_of(tx: Transaction, session: Session, run: Run) -> View:
    def has(*kinds: ArtifactKind) -> bool:
        return artifacts.latest(tx, session.id, *kinds, run_id=run.id) is not None

    return View(
        session=session,
        run=run,
        has_work=has(ArtifactKind.BUNDLE, ArtifactKind.DIFF, ArtifactKind.PATCH),
        has_submodules=has(ArtifactKind.SUBMODULES),
    )


@dataclass(frozen=True, kw_only=True)
class Frame:
    first: int  # seq of its first event
    last: int
    data: bytes


PASSING: tuple[type[Exception], ...] = (GitwardError, *PASSING_ERRORS)  # the session, or its database, is gone

RenderHead = Callable[[View, Conversation], Sequence[str]]
RenderItem = Callable[[Item, str], str]  # an item, and the name of the agent


class Boards:
    """All boards of a process."""

    def __init__(
        self,
        *,
        database: Database,
        sessions: SessionService,
        feeds: LiveEvents,
        render_head: RenderHead,
        render_item: RenderItem,
    ) -> None:
        """:param render_head: the parts of a page that stand above the conversation.
        :param render_item: one item of it.
        """
        self.database = database
        self.sessions = sessions
        self.feeds = feeds
        self.render_head = render_head
        self.render_item = render_item
        self._boards: dict[tuple[str, str], Board] = {}

    @asynccontextmanager
    async def watch(self, owner: Owner, session_id: str, run_id: str, after: int) -> AsyncIterator[Reader]:
        """What a page that knows the events until `after` is told; the right to see it was checked."""
        key = (session_id, run_id)
        board = self._boards.get(key)
        if board is None:
            board = self._boards[key] = Board(self, owner, session_id, run_id, after)
        board.readers += 1
        try:
            yield Reader(board, after)
        finally:
            board.readers -= 1
            if not board.readers:
                del self._boards[key]
                await board.stop()


class Board:
    """One run that somebody watches."""

    def __init__(self, boards: Boards, owner: Owner, session_id: str, run_id: str, after: int) -> None:
        self._boards = boards
        self._owner = owner
        self._session_id, self._run_id = session_id, run_id
        self.begins = self.last = after  # frames hold every event between the two
        self.readers = 0
        self.over = False
        self.frames: deque[Frame] = deque()
        self._bytes = 0
        self._changed = asyncio.Event()
        self._conversation = Conversation()
        self._ends_with: int | None = None  # the seq by which everything of the run is told; None: it goes on
        self._task = asyncio.create_task(self._follow(), name=f"board of {run_id}")

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    @property
    def gather(self) -> float:
        return GATHER_SECONDS + GATHER_FOR_EACH * self.readers

    async def change(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    async def _follow(self) -> None:
        try:
            view = await self._begin()
            async with self._boards.feeds.watch(self._session_id, self.last) as watcher:
                if view.run.state.is_final:  # it ended before the page came
                    await self._publish([], view)
                clock = asyncio.get_running_loop().time
                told_at = clock()
                while not self.over and not watcher.gone:
                    told = list(await watcher.next(1.0))
                    until = clock() + self.gather
                    while told and clock() < until and len(told) < MOST_EVENTS:
                        told += await watcher.next(max(0.001, until - clock()))
                    if told or clock() - told_at >= TICK_SECONDS:
                        told_at = clock()
                        await self._tell(told)
        except asyncio.CancelledError:
            raise
        except PASSING as error:
            log.warning("A page's live part ends: %s", type(error).__name__)
        except Exception:
            log.exception("A page's live part ended unexpectedly")
        finally:
            self.over = True
            self._wake()

    async def _begin(self) -> View:
        """What was said before: a message may go on."""

        def look(tx: Transaction) -> View:
            events, _ = run_log.told(tx, self._session_id, self._run_id, until=self.begins)
            self._conversation.add_all(events)
            return self._view(tx)

        return await self._boards.database.read(look)

    def _view(self, tx: Transaction) -> View:
        session = self._boards.sessions.get_session(tx, self._owner, self._session_id)
        run = next((each for each in session.runs if each.id == self._run_id), None)
        run = run or self._boards.sessions.get_run(tx, self._owner, self._session_id, self._run_id)
        if run.state.is_final and self._ends_with is None:
            self._ends_with = run_log.last_seq(tx, self._session_id)  # its last event is committed with its state
        return view_of(tx, session, run)

    async def _tell(self, told: Sequence[EncodedEvent]) -> None:
        events = [each.event for each in told]
        view = None
        if not told or any(event.type not in QUIET for event in events):
            view = await self._boards.database.read(self._view)
        await self._publish(told, view)

    async def _publish(self, told: Sequence[EncodedEvent], view: View | None) -> None:
        data = await asyncio.to_thread(self._rendered, told, view)
        first, last = (told[0].event.seq, told[-1].event.seq) if told else (self.last + 1, self.last)
        over = self._ends_with is not None and last >= self._ends_with
        if data:
            data += f"event: at\nid: {last}\ndata: {last}\n\n".encode()
        if over:
            data += ended()
        if data or told:
            self._keep(Frame(first=first, last=last, data=data))
        self.last = last
        self.over = over
        self._wake()

    def _rendered(self, told: Sequence[EncodedEvent], view: View | None) -> bytes:
        mine = [each.event for each in told if each.event.run_id == self._run_id]
        output = [event for event in mine if event.type is EventType.OUTPUT]
        talk = self._conversation
        changed = talk.add_all(event for event in mine if event.type is not EventType.OUTPUT)
        shown = [talk.items[each] for each in talk.items if each in changed]
        parts = [lines(output)] if output else []
        if shown:
            parts.append(items([(each.id, self._boards.render_item(each, talk.agent)) for each in shown]))
        if view is not None:
            parts.append(partials(self._boards.render_head(view, talk)))
        return b"".join(parts)

    def _keep(self, frame: Frame) -> None:
        self.frames.append(frame)
        self._bytes += len(frame.data)
        while self._bytes > KEPT_BYTES and len(self.frames) > 1:
            gone = self.frames.popleft()
            self._bytes -= len(gone.data)
            self.begins = gone.last

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class Reader:
    """One page's place on a board."""

    def __init__(self, board: Board, after: int) -> None:
        self._board = board
        self._after = after
        self._sent: Frame | None = None

    @property
    def is_over(self) -> bool:
        return self._board.over and not self._waiting()

    def _waiting(self) -> list[Frame]:
        frames = list(self._board.frames)
        if self._sent is None:
            return [each for each in frames if each.last > self._after or each.first > each.last]
        if self._sent not in frames:
            return frames
        return frames[frames.index(self._sent) + 1 :]

    async def next(self, seconds: float) -> bytes:
        """What to send now; empty when there is nothing within `seconds`."""
        if not self._is_covered():
            self._after = self._board.last
            return stale()
        frames = self._waiting()
        if not frames and not self._board.over:
            await self._board.change(seconds)
            frames = self._waiting()
        if not frames:
            return b""
        self._sent = frames[-1]
        self._after = max(self._after, frames[-1].last)
        return b"".join(each.data for each in frames)

    def _is_covered(self) -> bool:
        """Whether the board has what comes after what the page knows."""
        return self._after >= self._board.begins
