"""Who may begin: limits that hold, turns between users, and what a waiting run is told."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest
import sqlalchemy as sa

from crowd import crowd
from gitward.sessions.model import Owner, Run, RunState, Session
from gitward.sessions.places import AT_ONCE, Places, RunLimits
from gitward.sessions.service import SessionService
from gitward.sessions.session_list import SessionFilter
from machine import slowness
from tests_support import Backend

MANY = 10_000
SECONDS = 1.0  # generous: 0.05 s on a quiet machine


def limited(backend: Backend, total: int, per_user: int) -> Backend:
    places = Places(backend.notifier, RunLimits(total=total, per_user=per_user))
    return replace(backend, places=places, sessions=SessionService(places=places, journal=backend.journal))


async def cancel(backend: Backend, owner: Owner, session: Session) -> None:
    with backend.database.transaction() as tx:
        backend.sessions.cancel(tx, owner, session.id)


async def head(backend: Backend, owner: Owner, session: Session) -> Run:
    return (await backend.get(owner, session.id)).runs[0]


def run_of(session: Session) -> str:
    return session.runs[0].id


async def test_a_user_gets_no_more_places_than_one_may_have(backend: Backend, alice: Owner, bob: Owner) -> None:
    backend = limited(backend, total=4, per_user=2)
    of_alice = [await backend.create(alice) for _ in range(3)]
    of_bob = [await backend.create(bob) for _ in range(3)]
    first = [run_of(of_alice[0]), run_of(of_alice[1]), run_of(of_bob[0]), run_of(of_bob[1])]
    assert await backend.jobs() == first


async def test_all_together_get_no_more_places_than_there_are(backend: Backend, alice: Owner, bob: Owner) -> None:
    backend = limited(backend, total=3, per_user=3)
    first = [await backend.create(alice) for _ in range(2)] + [await backend.create(bob)]
    await backend.create(bob)
    assert await backend.jobs() == [run_of(session) for session in first]


async def test_an_end_gives_the_place_to_the_next_at_once(backend: Backend, alice: Owner) -> None:
    backend = limited(backend, total=1, per_user=1)
    sessions = [await backend.create(alice) for _ in range(3)]
    for number, session in enumerate(sessions):
        assert await backend.jobs() == [run_of(each) for each in sessions[: number + 1]]
        await backend.end(run_of(session))


async def test_a_run_keeps_its_place_while_it_is_taken_over(backend: Backend, alice: Owner) -> None:
    backend = limited(backend, total=1, per_user=1)
    one, other = await backend.create(alice), await backend.create(alice)
    for worker in ("worker-1", "worker-2"):
        with backend.database.transaction() as tx:
            backend.progress(worker).take(tx, run_of(one))
        with backend.database.transaction() as tx:
            assert backend.places.fill(tx) == 0
    assert run_of(other) not in await backend.jobs()


async def test_a_cancelled_run_gives_its_place_away(backend: Backend, alice: Owner, bob: Owner) -> None:
    """One that waits for a worker has a place; one that waits for a place has none to give."""
    backend = limited(backend, total=1, per_user=1)
    of_alice = [await backend.create(alice) for _ in range(2)]
    of_bob = await backend.create(bob)
    await cancel(backend, alice, of_alice[1])
    assert await backend.jobs() == [run_of(of_alice[0])]
    await cancel(backend, alice, of_alice[0])
    assert await backend.jobs() == [run_of(of_alice[0]), run_of(of_bob)]


@pytest.mark.parametrize("database_kind", ["postgres"])  # SQLite has one writer at a time
async def test_a_waiting_run_is_cancelled_while_places_are_given_away(backend: Backend, alice: Owner) -> None:
    """It frees no place: hundreds of cancellations need not wait for each other."""
    backend = limited(backend, total=1, per_user=1)
    await backend.create(alice)
    waiting = await backend.create(alice)
    with backend.database.transaction() as tx:
        backend.places.fill(tx)  # holds the lock until the transaction ends
        await asyncio.to_thread(_cancel, backend, alice, waiting.id)
    assert (await head(backend, alice, waiting)).state is RunState.CANCELLED


@pytest.mark.parametrize("database_kind", ["postgres"])  # SQLite has one writer at a time
async def test_a_place_that_was_for_a_run_being_cancelled_is_given_to_the_next_at_a_worker_s_look(
    backend: Backend, alice: Owner
) -> None:
    backend = limited(backend, total=1, per_user=1)
    sessions = [await backend.create(alice) for _ in range(3)]
    with backend.database.transaction() as tx:
        backend.sessions.cancel(tx, alice, sessions[1].id)  # not committed yet
        ending = asyncio.create_task(asyncio.to_thread(_cancel, backend, alice, sessions[0].id))
        await _until_somebody_waits_for_a_lock(backend)
    await ending
    with backend.database.transaction() as tx:
        backend.places.fill(tx)
    assert await backend.jobs() == [run_of(sessions[2])]  # the first was cancelled before a worker took it


def _cancel(backend: Backend, owner: Owner, session_id: str) -> None:
    with backend.database.transaction() as tx:
        backend.sessions.cancel(tx, owner, session_id)


async def _until_somebody_waits_for_a_lock(backend: Backend) -> None:
    waiting = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    async with asyncio.timeout(20):
        while not await backend.database.read(lambda tx: tx.execute(waiting).scalar()):
            await asyncio.sleep(0.01)


async def test_a_follow_up_waits_behind_what_its_owner_queued_before(backend: Backend, alice: Owner) -> None:
    backend = limited(backend, total=1, per_user=1)
    one, other = await backend.create(alice), await backend.create(alice)
    with backend.database.transaction() as tx:
        follow_up = backend.sessions.add_run(tx, alice, one.id, one.runs[0].instruction)
    await backend.end(run_of(one))
    await backend.end(run_of(other))
    assert await backend.jobs() == [run_of(one), run_of(other), follow_up.id]


@pytest.mark.parametrize("total", [1, 4])
async def test_a_user_with_a_thousand_runs_does_not_starve_another(
    backend: Backend, alice: Owner, bob: Owner, total: int
) -> None:
    """What had a place when Bob came goes on; not one more run of Alice's gets a place before his."""
    backend = limited(backend, total=total, per_user=total)
    await crowd(backend, alice, 1_000)
    with backend.database.transaction() as tx:
        assert backend.places.fill(tx) == total
    of_bob = await backend.create(bob)
    before = await backend.jobs()
    assert len(before) == total
    await backend.end(before[0])
    assert await backend.jobs() == [*before, run_of(of_bob)]


async def test_users_get_their_turns_one_after_the_other(backend: Backend) -> None:
    """One place; who has more waiting, or has waited longer, does not come more often."""
    backend = limited(backend, total=1, per_user=1)
    owners = [Owner(issuer="gitward", subject=name) for name in "abc"]
    of = {run_of(await backend.create(owners[0])): "a" for _ in range(6)}
    of |= {run_of(await backend.create(owner)): owner.subject for owner in owners[1:] for _ in range(2)}
    served = ""
    for number in range(len(of)):
        run_id = (await backend.jobs())[number]
        served += of[run_id]
        await backend.end(run_id)
    assert served == "abcabcaaaa"


async def test_free_places_are_given_away_after_the_limit_was_raised(backend: Backend, alice: Owner) -> None:
    backend = limited(backend, total=1, per_user=1)
    sessions = [await backend.create(alice) for _ in range(4)]
    with backend.database.snapshot() as tx:
        assert not backend.places.has_work(tx)
    raised = limited(backend, total=3, per_user=3)
    with raised.database.transaction() as tx:
        assert raised.places.has_work(tx)
        assert raised.places.fill(tx) == 2
    assert await backend.jobs() == [run_of(session) for session in sessions[:3]]


async def test_many_free_places_are_given_away_in_small_transactions(backend: Backend, alice: Owner) -> None:
    """So that nobody waits long for the lock."""
    backend = limited(backend, total=50, per_user=50)
    await crowd(backend, alice, 60)
    given = []
    while True:
        with backend.database.transaction() as tx:
            given.append(backend.places.fill(tx))
        if not given[-1]:
            break
    assert given == [AT_ONCE, AT_ONCE, 50 - 2 * AT_ONCE, 0]


class TestWhatAWaitingRunIsTold:
    async def test_a_run_with_a_place_waits_for_a_worker(self, backend: Backend, alice: Owner) -> None:
        backend = limited(backend, total=2, per_user=2)
        sessions = [await backend.create(alice) for _ in range(2)]
        told = [await head(backend, alice, session) for session in sessions]
        assert [run.queued_because for run in told] == ["Waiting for a free worker."] * 2
        assert [run.queue_place for run in told] == [1, 2]

    async def test_the_answer_to_a_post_tells_the_same(self, backend: Backend, alice: Owner) -> None:
        backend = limited(backend, total=1, per_user=1)
        for _ in range(3):
            session = await backend.create(alice)
            assert session.runs[0] == await head(backend, alice, session)

    async def test_a_user_s_own_limit(self, backend: Backend, alice: Owner, bob: Owner) -> None:
        backend = limited(backend, total=3, per_user=1)
        sessions = [await backend.create(alice) for _ in range(3)]
        await backend.create(bob)
        run = await head(backend, alice, sessions[2])
        assert run.queued_because == (
            "You have 1 run in progress, as many as one user may have at the same time; "
            "place 3 among your waiting runs."
        )
        with backend.database.transaction() as tx:
            backend.progress().take(tx, run_of(sessions[0]))
        assert (await head(backend, alice, sessions[2])).queue_place == 2

    async def test_the_limit_of_all(self, backend: Backend, alice: Owner, bob: Owner) -> None:
        backend = limited(backend, total=2, per_user=2)
        for _ in range(5):
            await backend.create(bob)
        run = await head(backend, alice, await backend.create(alice))
        assert run.queued_because == "All 2 places for runs are taken; place 1 among your waiting runs."

    async def test_a_list_tells_each_its_place(self, backend: Backend, alice: Owner) -> None:
        backend = limited(backend, total=1, per_user=1)
        sessions = [await backend.create(alice) for _ in range(4)]
        await backend.end(run_of(sessions[0]))
        with backend.database.snapshot() as tx:
            page = backend.sessions.list_sessions(tx, alice, SessionFilter())
        assert [each.runs[0].queue_place for each in page.items] == [3, 2, 1, None]
        assert page.items[-1].runs[0].queued_because is None


async def test_ten_thousand_waiting_runs_slow_nothing_down(backend: Backend, alice: Owner, bob: Owner) -> None:
    backend = limited(backend, total=1, per_user=1)
    of_bob = await backend.create(bob)
    await crowd(backend, alice, MANY // 2)
    for number in range(100):
        await crowd(backend, Owner(issuer="gitward", subject=f"user-{number}"), MANY // 200)
    began = time.perf_counter()
    of_alice = await backend.create(alice)
    assert of_alice.runs[0].queue_place == MANY // 2 + 1
    posted = time.perf_counter()
    await backend.get(alice, of_alice.id)
    looked = time.perf_counter()
    await backend.end(run_of(of_bob))
    ended = time.perf_counter()
    print(f"post {posted - began:.3f} s, get {looked - posted:.3f} s, end {ended - looked:.3f} s")
    assert max(posted - began, looked - posted, ended - looked) < SECONDS * slowness()
