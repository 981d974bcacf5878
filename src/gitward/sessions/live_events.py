"""Live events for many readers: this process reads new events of a session once for all its watchers.

A reader that is far behind reads rows of its own until it has caught up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from gitward.sessions.journal import Journal
from gitward.sessions.model import Event
from gitward.store import schema
from gitward.store.database import PASSING_ERRORS, Database, Transaction
from gitward.store.notify import Notifier

log = logging.getLogger(__name__)

PAGE = 200  # events that are read at once
RECENT_BYTES = 512 * 1024  # of a session's newest events, kept for those who watch it
POLL_SECONDS = 1.0  # a notification may be lost, or the worker may be another process
_AT_ONCE = 500  # sessions in one question

Encode = Callable[[Event], bytes]


@dataclass(frozen=True, kw_only=True)
class EncodedEvent:
    """One event, and how it is sent; made once for all readers."""

    event: Event
    line: bytes


class SessionFeed:
    """The newest events of one watched session, without a gap."""

    def __init__(self, session_id: str, last: int) -> None:
        self.session_id = session_id
        self.last = last  # seq of the newest event that is known
        self.gone = False  # the session was removed
        self.watchers = 0
        self._recent: deque[EncodedEvent] = deque()
        self._bytes = 0
        self._changed = asyncio.Event()

    def add(self, news: Sequence[EncodedEvent]) -> None:
        for told in news:
            self._recent.append(told)
            self._bytes += len(told.line)
            self.last = told.event.seq
        while self._bytes > RECENT_BYTES and len(self._recent) > 1:
            self._bytes -= len(self._recent.popleft().line)
        self.wake()

    def end(self) -> None:
        self.gone = True
        self.wake()

    def wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def since(self, after: int) -> Sequence[EncodedEvent] | None:
        """At most PAGE events with `seq > after`, empty when there are none yet; None: they must be read."""
        if after >= self.last:
            return ()
        if not self._recent or self._recent[0].event.seq > after + 1:
            return None
        start = after + 1 - self._recent[0].event.seq
        return [self._recent[at] for at in range(start, min(start + PAGE, len(self._recent)))]

    async def change(self, seconds: float) -> None:
        """Returns at the next change, at the latest after `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()


class LiveEvents:
    """All feeds of a process."""

    def __init__(self, *, database: Database, journal: Journal, notifier: Notifier, encode: Encode) -> None:
        self._database = database
        self._journal = journal
        self._notifier = notifier
        self._encode = encode
        self._feeds: dict[str, SessionFeed] = {}
        self._readers: dict[str, asyncio.Task[None]] = {}
        self._polling: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def watch(self, session_id: str, after: int) -> AsyncIterator[Watcher]:
        """The session's events after a seq, for a reader whose right to see them was checked."""
        feed = self._feeds.get(session_id)
        if feed is None:
            feed = self._feeds[session_id] = SessionFeed(session_id, after)
            self._readers[session_id] = asyncio.create_task(self._read(feed), name=f"feed of {session_id}")
            self._polling = self._polling or asyncio.create_task(self._poll(), name="feeds")
        feed.watchers += 1
        try:
            yield Watcher(feed, self, after)
        finally:
            feed.watchers -= 1
            if not feed.watchers:
                await self._drop(feed)

    async def page(self, session_id: str, after: int) -> list[EncodedEvent]:
        """Events that no feed remembers. They are encoded where they are read: in a thread."""

        def look(tx: Transaction) -> list[EncodedEvent]:
            events = self._journal.read(tx, session_id, after=after, limit=PAGE)
            return [EncodedEvent(event=event, line=self._encode(event)) for event in events]

        return await self._database.read(look)

    async def _drop(self, feed: SessionFeed) -> None:
        del self._feeds[feed.session_id]
        ending = [self._readers.pop(feed.session_id)]
        if not self._feeds and self._polling is not None:
            ending.append(self._polling)
            self._polling = None
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    async def _read(self, feed: SessionFeed) -> None:
        """Adds new events as they are told of."""
        with self._notifier.subscribe(feed.session_id) as news:
            while True:
                try:
                    told = await self.page(feed.session_id, feed.last)
                except PASSING_ERRORS as error:
                    log.warning("New events cannot be read yet: %s", type(error).__name__)
                    await asyncio.sleep(POLL_SECONDS)
                    continue
                if told:
                    feed.add(told)
                if len(told) < PAGE:
                    await news.wait(60.0)  # `_poll` wakes it too

    async def _poll(self) -> None:
        """One question for all watched sessions, should a notification get lost."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            watched = list(self._feeds)
            for start in range(0, len(watched), _AT_ONCE):
                await self._compare(watched[start : start + _AT_ONCE])

    async def _compare(self, watched: Sequence[str]) -> None:
        known = {session_id: feed.last for session_id in watched if (feed := self._feeds.get(session_id)) is not None}
        query = sa.select(schema.sessions.c.id, schema.sessions.c.last_seq).where(schema.sessions.c.id.in_(watched))
        try:
            last = await self._database.read(lambda tx: {row.id: int(row.last_seq) for row in tx.execute(query)})
        except PASSING_ERRORS:
            return  # the readers tell of it
        for session_id in watched:
            feed = self._feeds.get(session_id)
            if feed is None or session_id not in known:
                continue
            if session_id not in last:
                feed.end()
            elif last[session_id] < known[session_id]:  # a cursor from elsewhere, beyond the last event
                feed.last = last[session_id]
                self._notifier.wake(session_id)
            elif last[session_id] > feed.last:  # which may have grown since the question
                self._notifier.wake(session_id)


class Watcher:
    """One reader's place in a session's events."""

    def __init__(self, feed: SessionFeed, feeds: LiveEvents, after: int) -> None:
        self._feed = feed
        self._feeds = feeds
        self._after = after

    @property
    def gone(self) -> bool:
        """Whether the session was removed."""
        return self._feed.gone

    async def next(self, seconds: float) -> Sequence[EncodedEvent]:
        """The next events in their order; none when there are none within `seconds`, or the session is gone."""
        told = await self._now()
        if not told and not self._feed.gone:
            await self._feed.change(seconds)
            told = await self._now()
        if told:
            self._after = told[-1].event.seq
        return told

    async def _now(self) -> Sequence[EncodedEvent]:
        told = self._feed.since(self._after)
        return await self._feeds.page(self._feed.session_id, self._after) if told is None else told
