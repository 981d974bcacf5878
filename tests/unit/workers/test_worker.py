"""The worker runs what is queued, within its limits, and nothing is lost when it ends in whatever way."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from gitward.store.database import Database
from gitward.workers.queue import DbosQueue
from gitward.workers.worker import Worker, checkpoint
from outside import look

PROGRAM = Path(__file__).with_name("crash_program.py")
CANARY = "canary-0123456789"
Job = Callable[[str], Awaitable[None]]


@pytest.fixture
async def queue(database: Database) -> AsyncIterator[DbosQueue]:
    queue = DbosQueue(database)
    yield queue
    await asyncio.to_thread(queue.close)


@asynccontextmanager
async def working(database: Database, job: Job, slots: int = 4) -> AsyncIterator[Worker]:
    worker = Worker(database, slots=slots)
    await worker.start(lambda _shift: job)
    try:
        async with asyncio.timeout(60):
            yield worker
    finally:
        await worker.stop()


async def enqueue(database: Database, queue: DbosQueue, *run_ids: str) -> None:
    async with database.transaction() as tx:
        for run_id in run_ids:
            await queue.enqueue(tx, run_id)


class Ended:
    """Collects the runs that ended and tells when all are there."""

    def __init__(self, *expected: str) -> None:
        self._expected = sorted(expected)
        self.runs: list[str] = []
        self.all = asyncio.Event()

    def add(self, run_id: str) -> None:
        self.runs.append(run_id)
        if sorted(self.runs) == self._expected:
            self.all.set()


async def test_a_backlog_is_worked_off_from_the_start(database: Database, queue: DbosQueue) -> None:
    """Runs that were queued while no worker was there; none is dequeued before the worker knows the job."""
    runs = [f"run-{number}" for number in range(12)]
    await enqueue(database, queue, *runs)
    ended = Ended(*runs)

    async def job(run_id: str) -> None:
        ended.add(run_id)

    async with working(database, job):
        await ended.all.wait()
    assert sorted(ended.runs) == sorted(runs)


async def test_a_run_that_is_queued_twice_runs_once(database: Database, queue: DbosQueue) -> None:
    ended = Ended("one", "two")

    async def job(run_id: str) -> None:
        ended.add(run_id)

    async with working(database, job):
        await enqueue(database, queue, "one", "one")
        await enqueue(database, queue, "one", "two")
        await ended.all.wait()
    assert sorted(ended.runs) == ["one", "two"]


async def test_a_worker_takes_no_more_than_it_has_slots(database: Database, queue: DbosQueue) -> None:
    """Also when another worker, which started later, has more."""
    running: Counter[str] = Counter()
    most = 0
    full, go = asyncio.Event(), asyncio.Event()
    runs = [f"run-{number}" for number in range(6)]
    ended = Ended(*runs)

    async def job(run_id: str) -> None:
        nonlocal most
        running["all"] += 1
        most = max(most, running["all"])
        if most == 2:
            full.set()
        await go.wait()
        running["all"] -= 1
        ended.add(run_id)

    async with working(database, job, slots=2):
        async with database.transaction() as tx:
            await tx.execute(
                sa.text(f"UPDATE {'' if database.is_sqlite else 'dbos.'}queues SET worker_concurrency = 4")
            )
        await enqueue(database, queue, *runs)
        await full.wait()
        while look(database, "SELECT count(*) FROM {dbos}workflow_status WHERE status = 'PENDING'") != [(4,)]:
            await asyncio.sleep(0.05)
        go.set()
        await ended.all.wait()
    assert most == 2


async def test_a_worker_that_stops_leaves_its_runs_to_the_next(database: Database, queue: DbosQueue) -> None:
    """The running ones are cancelled and awaited; they and the queued ones are done by the next worker."""
    await enqueue(database, queue, "one", "two")
    begun, cleaned = asyncio.Event(), []

    async def hang(run_id: str) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(run_id)

    async with working(database, hang, slots=1):
        await begun.wait()
    assert len(cleaned) == 1
    assert look(database, "SELECT DISTINCT status FROM {dbos}workflow_status") == [("ENQUEUED",)]
    ended = Ended("one", "two")

    async def job(run_id: str) -> None:
        ended.add(run_id)

    async with working(database, job):
        await ended.all.wait()


async def test_the_loop_has_threads_after_a_stop(database: Database) -> None:
    """DBOS puts its own in place of the loop's, and takes them away with itself."""

    async def job(_run_id: str) -> None:
        pass

    async with working(database, job):
        pass
    assert await asyncio.to_thread(lambda: 1) == 1


async def test_a_finished_step_is_not_repeated_after_a_kill(
    database: Database, queue: DbosQueue, migrated_url: str, tmp_path: Path
) -> None:
    """SIGKILL in the middle of the second step: another process does the second step again, and the first not."""
    await enqueue(database, queue, "run-1")
    notes = tmp_path / "notes"

    async def start(mode: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, str(PROGRAM), migrated_url, str(notes), mode),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async with asyncio.timeout(60):
        first = await start("hang")
        assert first.stdout is not None
        line = await first.stdout.readline()
        first.send_signal(signal.SIGKILL)
        await first.communicate()
        assert line == b"in the second step\n"
        second = await start("finish")
        _, errors = await second.communicate()
    assert second.returncode == 0, errors.decode()
    assert notes.read_text().split("\n") == ["first", "second", "second", "end run-1", ""]


async def test_what_a_step_raises_is_stored_without_its_text(database: Database, queue: DbosQueue) -> None:
    """And what steps take and return is stored as JSON."""
    seen: list[str] = []
    done = asyncio.Event()

    async def fail(value: list[int]) -> None:
        raise RuntimeError(f"{CANARY} {value}")

    async def fine(value: dict[str, int]) -> list[int]:
        return [value["n"], 2]

    async def job(_run_id: str) -> None:
        try:
            await checkpoint("fail", fail, await checkpoint("fine", fine, {"n": 1}))
        except RuntimeError as error:
            seen.append(str(error))
        finally:
            done.set()
        raise RuntimeError(CANARY)

    async with working(database, job):
        await enqueue(database, queue, "run-1")
        await done.wait()
    assert seen == [f"{CANARY} [1, 2]"]
    outputs = look(database, "SELECT function_name, output, error, serialization FROM {dbos}operation_outputs")
    assert sorted(outputs) == [
        ("fail", None, '{"$error":"RuntimeError"}', "gitward_json"),
        ("fine", "[1,2]", None, "gitward_json"),
    ]
    if database.is_sqlite:
        for file in Path(str(database.url.database)).parent.glob("gitward.db*"):
            assert CANARY.encode() not in file.read_bytes()


async def test_the_engine_logs_through_our_handlers_only(database: Database) -> None:
    """A handler of its own would pass by the redaction."""

    async def job(_run_id: str) -> None:
        pass

    async with working(database, job):
        theirs = logging.getLogger("dbos")
        assert theirs.handlers == []
        assert theirs.propagate
