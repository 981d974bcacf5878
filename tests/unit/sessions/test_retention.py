"""What is old goes, what is not stays, and nobody waits for it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from crowd import crowd
from gitward.sessions import artifacts
from gitward.sessions.artifacts import Origin
from gitward.sessions.cron import CronTimes
from gitward.sessions.model import ArtifactKind, Owner, RunState
from gitward.sessions.new_session import NewSession
from gitward.sessions.retention import KEY_LIFETIME, Removed, Retention
from gitward.sessions.schedules import ScheduleService
from gitward.store import schema
from gitward.store.database import Database
from machine import slowness
from tests_support import Backend

DAYS = 90
MANY = 10_000
SWEEP_SECONDS = 60.0  # generous: about 5 s on a quiet machine
WAIT_SECONDS = 2.0  # generous: a write waits 0.1 to 0.3 s on a busy machine
OWN = ("sessions", "runs", "events", "steps", "artifacts", "tickets")


def later(hours: float) -> datetime:
    """So many hours after what ended now has come of age."""
    return datetime.now(UTC) + timedelta(days=DAYS, hours=hours)


@pytest.fixture
def retention(backend: Backend) -> Retention:
    return Retention(backend.database, days=DAYS)


async def count(database: Database, *tables: str) -> list[int]:
    with database.snapshot() as tx:
        return [tx.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one() for table in tables]


async def test_an_ended_session_goes_with_all_that_hangs_on_it(
    backend: Backend, alice: Owner, retention: Retention
) -> None:
    session = await backend.create(alice)
    with backend.database.transaction() as tx:
        artifacts.store(tx, Origin(run_id=session.runs[0].id, attempt=1), ArtifactKind.PATCH, b"work")
    await backend.end(session.runs[0].id)
    assert await retention.sweep(later(-1)) == Removed()
    assert await count(backend.database, "sessions", "artifacts") == [1, 1]
    assert (await retention.sweep(later(1))).sessions == 1
    assert await count(backend.database, *OWN) == [0] * len(OWN)


async def test_what_has_not_ended_stays_however_old_and_so_does_a_schedule(
    backend: Backend, alice: Owner, retention: Retention
) -> None:
    queued, running = await backend.create(alice), await backend.create(alice)
    followed = await backend.create(alice)
    await backend.end(followed.runs[0].id)
    with backend.database.transaction() as tx:
        backend.progress().take(tx, running.runs[0].id)
        backend.sessions.add_run(tx, alice, followed.id, followed.runs[0].instruction)
        timetable = CronTimes(schedule="0 0 1 1 *", timezone="UTC")
        ScheduleService().create(tx, alice, timetable, NewSession(repo="acme/widgets"), {})
    assert await retention.sweep(later(24_000)) == Removed()
    assert (await backend.get(alice, queued.id)).state is RunState.QUEUED
    assert await count(backend.database, "sessions", "schedules") == [3, 1]


async def test_what_the_queue_knows_of_old_jobs_goes_too(backend: Backend, alice: Owner, retention: Retention) -> None:
    """With their runs: it is kept nowhere else."""
    old, young = await backend.create(alice), await backend.create(alice)
    await backend.end(old.runs[0].id)
    assert (await retention.sweep(later(DAYS + 1))).sessions == 1
    assert await backend.jobs() == [young.runs[0].id]
    assert await count(backend.database, "runs") == [1]
    assert await count(backend.database, "tickets") == [1]


async def test_idempotency_keys_go_after_a_day(backend: Backend, alice: Owner, retention: Retention) -> None:
    at = datetime.now(UTC)
    key = {"issuer": alice.issuer, "subject": alice.subject, "fingerprint": "f", "answer": {}}
    ages = {"young": timedelta(0), "old": KEY_LIFETIME + timedelta(seconds=1)}
    rows = [{**key, "key": name, "created_at": at - age} for name, age in ages.items()]
    rows += [{**key, "key": f"old-{number}", "created_at": at - timedelta(days=2)} for number in range(1_200)]
    with backend.database.transaction() as tx:
        tx.execute(sa.insert(schema.idempotency_keys), rows)
    assert (await retention.sweep(at)).keys == 1_201
    with backend.database.snapshot() as tx:
        assert tx.execute(sa.select(schema.idempotency_keys.c.key)).scalars().all() == ["young"]


async def test_without_an_age_what_ended_is_kept(backend: Backend, alice: Owner) -> None:
    session = await backend.create(alice)
    await backend.end(session.runs[0].id)
    assert await Retention(backend.database, days=0).sweep(later(24_000)) == Removed()
    assert (await backend.get(alice, session.id)).state is RunState.SUCCEEDED


@pytest.mark.slow
async def test_ten_thousand_old_sessions_go_and_nobody_waits(
    backend: Backend, alice: Owner, retention: Retention
) -> None:
    """30,000 events with them. Meanwhile another writes all the time, and its longest wait is measured."""
    long_ago = datetime.now(UTC) - timedelta(days=DAYS + 1)
    await crowd(backend, alice, MANY, state=RunState.SUCCEEDED, at=long_ago, events=3)
    young = await crowd(backend, alice, 20, state=RunState.SUCCEEDED)
    active = await crowd(backend, alice, 20, at=long_ago)
    waits: list[float] = []
    done = asyncio.Event()

    async def write() -> None:
        while not done.is_set():
            began = time.perf_counter()
            await backend.create(alice)
            waits.append(time.perf_counter() - began)
            await asyncio.sleep(0.02)

    writer = asyncio.create_task(write())
    began = time.perf_counter()
    removed = await retention.sweep()
    took = time.perf_counter() - began
    done.set()
    await writer
    print(f"{removed.sessions} sessions in {took:.2f} s; {len(waits)} writes, longest wait {max(waits):.3f} s")
    assert removed.sessions == MANY
    with backend.database.snapshot() as tx:
        left = set(tx.execute(sa.select(schema.sessions.c.id)).scalars())
    assert left >= {*young, *active}
    assert len(left) == len(young) + len(active) + len(waits)
    assert took < SWEEP_SECONDS * slowness()
    assert max(waits) < WAIT_SECONDS * slowness()


async def test_two_at_once_remove_everything_once(backend: Backend, alice: Owner, retention: Retention) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=DAYS + 1)
    await crowd(backend, alice, 300, state=RunState.FAILED, at=long_ago)
    removed = await asyncio.gather(retention.sweep(), retention.sweep())
    assert sum(each.sessions for each in removed) == 300
    assert await count(backend.database, "sessions") == [0]


async def test_sessions_with_much_work_go_one_by_one(backend: Backend, alice: Owner, retention: Retention) -> None:
    """On SQLite nobody else can write while a batch is removed."""
    commits = []
    for number in range(3):
        session = await backend.create(alice, repo=f"acme/repo-{number}")
        origin = Origin(run_id=session.runs[0].id, attempt=1)
        with backend.database.transaction() as tx:
            artifacts.store(tx, origin, ArtifactKind.PATCH, b"x" * artifacts.MAX_BYTES)
        await backend.end(session.runs[0].id)

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("DELETE FROM sessions"):
            commits.append(statement)

    sa.event.listen(backend.database.engine, "before_cursor_execute", note)
    assert (await retention.sweep(later(1))).sessions == 3
    assert len(commits) == 3
