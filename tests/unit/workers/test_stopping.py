"""A worker on Postgres that is being stopped is seen alive until its last job has ended."""

from __future__ import annotations

import asyncio

import pytest

from gitward.store.database import Database
from outside import look
from postgres import Postgres
from queued import queue_runs, worker_of

BEATS = 3  # while the job ends


@pytest.fixture
def database_kind(postgres: Postgres) -> str:
    return "postgres"


async def test_it_goes_on_beating_while_its_jobs_end(database: Database) -> None:
    begun, ending, may_end = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def job(_run_id: str) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ending.set()
            await may_end.wait()

    worker = worker_of(database)
    await worker.start(lambda _shift: job)
    queue_runs(database, "one")
    async with asyncio.timeout(60):
        await begun.wait()
        stopping = asyncio.create_task(worker.stop())
        await ending.wait()
        [(before,)] = look(database, "SELECT beats FROM workers")
        while look(database, "SELECT beats FROM workers")[0][0] < before + BEATS:
            await asyncio.sleep(0.1)
        may_end.set()
        await stopping
    assert look(database, "SELECT count(*) FROM workers") == [(0,)]
