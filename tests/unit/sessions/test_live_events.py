"""Many readers of live events cost as much as one, and each sees every event once, however slow it is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from gitward.sessions.journal import Journal
from gitward.sessions.live_events import PAGE, RECENT_BYTES, LiveEvents, Watcher
from gitward.sessions.model import Event, EventType, Owner, Session, now
from gitward.store.notify import Notifier
from tests_support import Backend

CREATED = 2  # events that every session begins with


@pytest.fixture
async def session(backend: Backend, alice: Owner) -> Session:
    return await backend.create(alice)


@pytest.fixture
def all_feeds(backend: Backend) -> LiveEvents:
    def encode(event: Event) -> bytes:
        return str(event.data.get("message", "")).encode()

    return LiveEvents(database=backend.database, journal=backend.journal, notifier=backend.notifier, encode=encode)


async def write(backend: Backend, session: Session, *texts: str, journal: Journal | None = None) -> None:
    with backend.database.transaction() as tx:
        entries = [(EventType.NOTICE, None, {"message": text}) for text in texts]
        (journal or backend.journal).append(tx, session.id, now(), *entries)


async def read(watcher: Watcher, up_to: int) -> list[int]:
    """The numbers of the events until this one."""
    seen: list[int] = []
    async with asyncio.timeout(30):
        while not seen or seen[-1] < up_to:
            seen += [told.event.seq for told in await watcher.next(10)]
    return seen


@contextmanager
def reads_counted(backend: Backend) -> Iterator[list[str]]:
    """The questions to the table of events."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "FROM events" in statement:
            asked.append(statement)

    engine = backend.database.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    yield asked
    sa.event.remove(engine, "before_cursor_execute", note)


async def test_a_hundred_readers_cost_as_much_as_one(backend: Backend, all_feeds: LiveEvents, session: Session) -> None:
    async def follow() -> list[int]:
        async with all_feeds.watch(session.id, CREATED) as watcher:
            watching.append(session.id)
            return await read(watcher, CREATED + 30)

    watching: list[str] = []
    readers = [asyncio.create_task(follow()) for _ in range(100)]
    while len(watching) < len(readers):
        await asyncio.sleep(0)
    with reads_counted(backend) as asked:
        for number in range(30):
            await write(backend, session, str(number))
        seen = await asyncio.gather(*readers)
    assert seen == [list(range(CREATED + 1, CREATED + 31))] * len(readers)
    assert len(asked) <= 2 * 30 + 2


async def test_a_reader_that_fell_far_behind_misses_nothing(
    backend: Backend, all_feeds: LiveEvents, session: Session
) -> None:
    """More was written meanwhile than is remembered."""
    text = "x" * (RECENT_BYTES // 20)
    async with all_feeds.watch(session.id, CREATED) as slow, all_feeds.watch(session.id, CREATED) as quick:
        for _ in range(50):
            await write(backend, session, text)
        assert await read(quick, CREATED + 50) == list(range(CREATED + 1, CREATED + 51))
        assert await read(slow, CREATED + 50) == list(range(CREATED + 1, CREATED + 51))


async def test_a_reader_that_begins_earlier_than_another_misses_nothing(
    backend: Backend, all_feeds: LiveEvents, session: Session
) -> None:
    await write(backend, session, *map(str, range(2 * PAGE)))
    newest = CREATED + 2 * PAGE
    async with all_feeds.watch(session.id, newest), all_feeds.watch(session.id, 0) as early:
        assert await read(early, newest) == list(range(1, newest + 1))


async def test_what_another_process_writes_is_found_without_a_notification(
    backend: Backend, all_feeds: LiveEvents, session: Session
) -> None:
    async with all_feeds.watch(session.id, CREATED) as watcher:
        await write(backend, session, "from elsewhere", journal=Journal(Notifier()))
        assert await read(watcher, CREATED + 1) == [CREATED + 1]


async def test_a_cursor_beyond_the_last_event_keeps_nothing_from_others(
    backend: Backend, all_feeds: LiveEvents, session: Session
) -> None:
    """Of a database that was restored, for example: whoever resumes there comes first."""
    async with all_feeds.watch(session.id, 10**6), all_feeds.watch(session.id, CREATED) as other:
        async with asyncio.timeout(20):
            while all_feeds._feeds[session.id].last != CREATED:
                await asyncio.sleep(0.05)  # a poll corrects it; nothing tells
        reading = asyncio.create_task(other.next(60))
        await asyncio.sleep(0)
        await write(backend, session, "told at once")
        async with asyncio.timeout(20):
            assert [told.event.seq for told in await reading] == [CREATED + 1]


async def test_nothing_is_left_when_the_last_reader_goes(all_feeds: LiveEvents, session: Session) -> None:
    before = asyncio.all_tasks()
    async with all_feeds.watch(session.id, 0), all_feeds.watch(session.id, 0):
        assert asyncio.all_tasks() != before
    assert asyncio.all_tasks() == before
    assert all_feeds._feeds == {}


async def test_no_news_is_told_after_the_time_that_was_asked_for(all_feeds: LiveEvents, session: Session) -> None:
    async with all_feeds.watch(session.id, CREATED) as watcher:
        assert list(await watcher.next(0.01)) == []
        assert not watcher.gone


async def test_a_late_answer_about_the_last_event_repeats_none(
    backend: Backend, session: Session, all_feeds: LiveEvents
) -> None:
    """On a busy machine: the feed had gone on while the question for lost notifications was on its way."""
    asked, gate = asyncio.Event(), asyncio.Event()

    class Late:
        async def read(self, look: Any) -> Any:
            answer = await backend.database.read(look)
            if isinstance(answer, dict):
                asked.set()
                await gate.wait()
            return answer

    async with all_feeds.watch(session.id, 0) as watcher:
        seen = await read(watcher, CREATED)
        all_feeds._database = Late()  # type: ignore[assignment]  # of which only this is asked
        compared = asyncio.create_task(all_feeds._compare([session.id]))
        await asked.wait()
        await write(backend, session, "a", "b")
        seen += await read(watcher, CREATED + 2)
        gate.set()
        await compared
        await write(backend, session, "c")
        seen += await read(watcher, CREATED + 3)
    assert seen == list(range(1, CREATED + 4))
