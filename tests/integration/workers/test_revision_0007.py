"""A database as the last version with DBOS left it, in the middle of its work, is taken as it is; an older program is
kept out of it from then on.

`revision_0007/make.py` made the dumps with the sources of that version.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from gitward.errors import SettingsError
from gitward.sessions.journal import Journal
from gitward.sessions.places import Places, RunLimits
from gitward.sessions.progress import Progress
from gitward.sessions.queue import RunQueue
from gitward.store import schema
from gitward.store.database import Database
from gitward.store.notify import Notifier
from gitward.workers.file_lock import FileLock
from gitward.workers.migrate import migrate_all
from gitward.workers.shift import Job, Shift
from gitward.workers.worker import Worker
from load import Load
from outside import look

DUMPS = Path(__file__).parent / "revision_0007"
IN_USE = "a worker of an older version still uses this database; stop it, and start this one again"


@pytest.fixture
def database_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_kind" in metafunc.fixturenames:
        only = metafunc.definition.get_closest_marker("only")
        metafunc.parametrize("database_kind", only.args if only else ["sqlite", "postgres"], indirect=True)


@pytest.fixture
async def old(database_url: str) -> AsyncIterator[Database]:
    """The dump, restored."""
    database = Database(database_url)
    if database.is_sqlite:
        with sqlite3.connect(str(database.url.database)) as connection:
            connection.executescript((DUMPS / "sqlite.sql").read_text())
        connection.close()
    else:
        with psycopg.connect(database.conninfo, autocommit=True) as server:
            server.execute((DUMPS / "postgres.sql").read_bytes())
    yield database
    await database.stop()


def states(database: Database) -> dict[str, list[str]]:
    """Of the runs in each session, by the name of its repository."""
    found: dict[str, list[str]] = {}
    query = "SELECT repo, runs.state FROM runs JOIN sessions ON sessions.id = session_id ORDER BY repo, number"
    for repo, state in look(database, query):
        found.setdefault(repo.removeprefix("acme/"), []).append(state)
    return found


BEFORE = {
    "admitted": ["queued"],
    "admitted-too": ["queued"],
    "cancelling": ["cancelling"],
    "ended": ["succeeded"],
    "running": ["running", "queued"],
    "waits": ["queued"],
    "waits-too": ["queued"],
}


def worker_for(database: Database) -> tuple[Worker, Callable[[Shift], Job]]:
    notifier = Notifier()
    journal = Journal(notifier)
    places = Places(notifier, RunLimits(total=4, per_user=3))

    def job(shift: Shift) -> Job:
        progress = Progress(places=places, journal=journal, worker=shift.id)
        return Load(database=database, progress=progress, seconds=0.01).job

    return Worker(database, queue=RunQueue(places=places, journal=journal), notifier=notifier, slots=2), job


async def test_queued_runs_stay_queued_and_running_ones_are_taken_over(old: Database) -> None:
    assert states(old) == BEFORE
    await migrate_all(old)
    assert states(old) == BEFORE
    places = "SELECT count(*) FROM tickets WHERE has_place AND place IS NOT NULL"
    assert look(old, places) == [(4,)]
    worker, job = worker_for(old)
    await worker.start(job)
    try:
        async with asyncio.timeout(300):
            while look(old, "SELECT count(*) FROM runs WHERE ended_at IS NULL") != [(0,)]:
                await asyncio.sleep(0.05)
    finally:
        await worker.stop()
    assert states(old) == {repo: ["succeeded"] * len(before) for repo, before in BEFORE.items()}
    query = "SELECT repo, max(attempt), max(losses) FROM runs JOIN sessions ON sessions.id = session_id GROUP BY repo"
    tries = {repo.removeprefix("acme/"): (attempt, losses) for repo, attempt, losses in look(old, query)}
    again = {"running", "cancelling"}
    assert tries == {repo: ((2, 1) if repo in again else (1, 0)) for repo in BEFORE}
    assert look(old, "SELECT count(*) FROM tickets") == [(0,)]


async def test_nothing_of_dbos_is_left(old: Database) -> None:
    await migrate_all(old)
    with old.snapshot() as tx:
        inspector = sa.inspect(tx.connection)
        assert "dbos" not in inspector.get_schema_names()
        tables = set(inspector.get_table_names())
    assert tables == {"alembic_version", *schema.metadata.tables}


async def test_a_worker_of_the_older_version_cannot_enter_the_list(old: Database) -> None:
    """One that was cut off for long, and comes back: it says again and again that the database cannot be used."""
    await migrate_all(old)
    enter = "INSERT INTO workers (id, machine, processes, lease_seconds, beats, started_at, seen_at) VALUES ({})"
    values = "'worker-old', 'm', '[]', 6, 0, '2026-11-28 00:00:00', '2026-11-28 00:00:00'"
    with pytest.raises(sa.exc.IntegrityError, match="generation"), old.transaction() as tx:
        tx.connection.exec_driver_sql(enter.format(values))


async def test_a_program_that_is_older_than_the_database_says_so(old: Database) -> None:
    await migrate_all(old)
    with old.transaction() as tx:
        tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SettingsError, match="a newer version of Gitward has changed this database"):
        await migrate_all(old)


@pytest.mark.only("sqlite")
async def test_nothing_is_changed_while_an_older_worker_has_the_file(old: Database) -> None:
    lock = FileLock(Path(f"{old.url.database}.worker"), "taken")
    lock.acquire()
    try:
        with pytest.raises(SettingsError, match=IN_USE):
            await migrate_all(old)
    finally:
        lock.release()
    assert look(old, "SELECT version_num FROM alembic_version") == [("0007",)]
    await migrate_all(old)


@pytest.mark.only("postgres")
async def test_nothing_is_changed_while_an_older_worker_beats(old: Database) -> None:
    """It is on another machine; that it is silent for as long as its lease is the only proof of its end."""
    with old.transaction() as tx:
        tx.execute(sa.text("UPDATE workers SET machine = 'elsewhere', lease_seconds = 3"))

    async def beat() -> None:
        while True:
            await old.write(lambda tx: tx.execute(sa.text("UPDATE workers SET beats = beats + 1")))
            await asyncio.sleep(0.1)

    beating: asyncio.Task[Any] = asyncio.create_task(beat())
    with pytest.raises(SettingsError, match=IN_USE):
        await migrate_all(old)
    beating.cancel()
    await asyncio.wait([beating])
    assert look(old, "SELECT version_num FROM alembic_version") == [("0007",)]
    await migrate_all(old)
    assert look(old, "SELECT count(*) FROM workers") == [(0,)]
