"""A full disk makes DBOS wait; it ends no workflow."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from dbos._dbos import _get_dbos_instance
from dbos._utils import retriable_sqlite_exception
from sqlalchemy import event

from gitward.store.database import Database
from gitward.workers.patience import wait_for_room
from gitward.workers.queue import DbosQueue
from gitward.workers.worker import Worker, checkpoint


class Disk:
    """A limit of the database's size that every connection of an engine keeps, while it is full."""

    def __init__(self, engine: sa.Engine) -> None:
        self.full = False
        self.refused = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        event.listen(engine, "begin", self._limit)
        event.listen(engine, "handle_error", self._note, insert=True)

    def _limit(self, connection: sa.Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one() if self.full else 2**30
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    def _note(self, context: sa.engine.ExceptionContext) -> None:
        if "database or disk is full" in str(context.original_exception):
            self._loop.call_soon_threadsafe(self.refused.set)


@pytest.fixture
def database_kind() -> str:
    """Whose disk may be this machine's. Postgres tells of its own by an error that DBOS tries again."""
    return "sqlite"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'small.db'}")
    with contextlib.closing(engine.raw_connection()) as connection:
        connection.execute("CREATE TABLE notes (text)")
        connection.execute("PRAGMA max_page_count = 3")
    yield engine
    engine.dispose()


def write_too_much(engine: sa.Engine) -> sa.exc.OperationalError:
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 3")
        with pytest.raises(sa.exc.OperationalError) as error:
            connection.execute(sa.text("INSERT INTO notes VALUES (:text)"), {"text": "x" * 100_000})
    return error.value


def test_a_full_disk_is_told_as_what_dbos_tries_again(engine: sa.Engine) -> None:
    assert not retriable_sqlite_exception(write_too_much(engine))
    wait_for_room(engine)
    error = write_too_much(engine)
    assert retriable_sqlite_exception(error)
    assert "x" * 100 not in str(error), "what was to be written is not in the log"


async def test_a_checkpoint_that_finds_the_disk_full_is_written_when_there_is_room(database: Database) -> None:
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    disks: list[Disk] = []

    async def step() -> str:
        [disk] = disks
        disk.full = True
        return "x" * 500_000

    async def job(_run_id: str) -> None:
        ended.set_result(await checkpoint("step", step))

    worker = Worker(database, slots=1)
    queue = DbosQueue(database)
    await worker.start(lambda _shift: job)
    try:
        disks.append(Disk(_get_dbos_instance()._sys_db.engine))
        async with database.transaction() as tx:
            await queue.enqueue(tx, "one")
        async with asyncio.timeout(30):
            await disks[0].refused.wait()
            assert not ended.done()
            disks[0].full = False
            assert len(await ended) == 500_000
    finally:
        await worker.stop()
        await asyncio.to_thread(queue.close)
