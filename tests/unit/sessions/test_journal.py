"""The log of a session: without gaps, in the order of commits, whoever writes at the same time."""

from __future__ import annotations

import asyncio

from gitward.sessions.model import EventType, Owner, now
from tests_support import Backend


async def note(backend: Backend, session_id: str, *texts: str) -> None:
    with backend.database.transaction() as tx:
        backend.journal.append(tx, session_id, now(), *((EventType.NOTICE, None, {"message": text}) for text in texts))


async def test_twenty_writers_at_once_leave_no_gap(backend: Backend, alice: Owner) -> None:
    """Also with several events in one transaction, and with transactions that are rolled back between them."""
    session = await backend.create(alice)

    async def write(number: int) -> None:
        await note(backend, session.id, f"{number}a", f"{number}b")

    async def fail() -> None:
        with backend.database.transaction() as tx:
            backend.journal.append(tx, session.id, now(), (EventType.NOTICE, None, {"message": "never"}))
            raise ZeroDivisionError

    work = [fail() if number % 5 == 4 else write(number) for number in range(25)]
    async with asyncio.timeout(60):
        results = await asyncio.gather(*work, return_exceptions=True)
    assert sum(isinstance(result, ZeroDivisionError) for result in results) == 5
    events = await backend.events(session.id)
    assert [event.seq for event in events] == list(range(1, 2 + 40 + 1))
    texts = [event.data["message"] for event in events[2:]]
    assert "never" not in texts
    for first, second in zip(texts[::2], texts[1::2], strict=True):  # what was written together stands together
        assert (first[:-1], first[-1], second[-1]) == (second[:-1], "a", "b")


async def test_a_reader_that_goes_on_from_its_last_number_misses_nothing(backend: Backend, alice: Owner) -> None:
    session = await backend.create(alice)
    seen: list[int] = []

    async def follow() -> None:
        with backend.notifier.subscribe(session.id) as news:
            while len(seen) < 32:
                with backend.database.snapshot() as tx:
                    page = backend.journal.read(tx, session.id, after=seen[-1] if seen else 0, limit=7)
                seen.extend(event.seq for event in page)
                if not page:
                    await news.wait(20)

    async with asyncio.timeout(60):
        await asyncio.gather(follow(), *(note(backend, session.id, str(number)) for number in range(30)))
    assert seen == list(range(1, 33))


async def test_readers_are_woken_by_the_commit_and_not_before(backend: Backend, alice: Owner) -> None:
    session = await backend.create(alice)
    with backend.notifier.subscribe(session.id) as news:
        with backend.database.transaction() as tx:
            backend.journal.append(tx, session.id, now(), (EventType.NOTICE, None, {}))
            assert not await news.wait(0)
        assert await news.wait(20)


async def test_a_page_can_be_of_one_run_only(backend: Backend, alice: Owner) -> None:
    session = await backend.create(alice)
    with backend.database.snapshot() as tx:
        page = backend.journal.read(tx, session.id, after=0, limit=10, run_id=session.runs[0].id)
    assert [event.type for event in page] == [EventType.RUN_QUEUED]


async def test_nothing_to_tell_writes_nothing(backend: Backend, alice: Owner) -> None:
    session = await backend.create(alice)
    await note(backend, session.id)
    assert len(await backend.events(session.id)) == 2
