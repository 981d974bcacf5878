"""A full disk makes a checkpoint wait; it ends no run."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from gitward.store.database import Database
from gitward.workers.worker import checkpoint
from queued import queue_runs, worker_of


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
    """Whose disk may be this machine's."""
    return "sqlite"


async def test_a_checkpoint_that_finds_the_disk_full_is_written_when_there_is_room(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    disk = Disk(database.engine)

    async def step() -> str:
        disk.full = True
        return "x" * 500_000

    async def job(_run_id: str) -> None:
        ended.set_result(await checkpoint("step", step))

    worker = worker_of(database)
    await worker.start(lambda _shift: job)
    try:
        queue_runs(database, "one")
        async with asyncio.timeout(30):
            await disk.refused.wait()
            assert not ended.done()
            disk.full = False
            assert len(await ended) == 500_000
    finally:
        await worker.stop()
    assert "x" * 100 not in caplog.text, "what was to be written is not in the log"


async def test_a_run_waits_while_none_may_begin_and_begins_afterwards(database: Database) -> None:
    """As on a full disk of the workspaces: it would fail there."""
    began, may_take = asyncio.Event(), False
    asked = asyncio.Event()

    def may() -> bool:
        asked.set()
        return may_take

    async def job(_run_id: str) -> None:
        began.set()

    worker = worker_of(database, may_take=may)
    await worker.start(lambda _shift: job)
    try:
        queue_runs(database, "one")
        async with asyncio.timeout(30):
            await asked.wait()
            assert not began.is_set()
            may_take = True
            await began.wait()
    finally:
        await worker.stop()
