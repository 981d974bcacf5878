"""The worker runs what is queued, within its limits, and nothing is lost when it ends in whatever way."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gitward.sessions.queue import ABANDONED, VERSION
from gitward.sessions.rows import WITH_ENVIRONMENT
from gitward.store import schema
from gitward.store.database import Database
from gitward.store.notify import Notifier
from gitward.workers.queue import WAKE
from gitward.workers.worker import Worker, checkpoint, pauses
from outside import look
from queued import WatchedQueue, queue_of, queue_runs, worker_of

PROGRAM = Path(__file__).with_name("crash_program.py")
CANARY = "canary-0123456789"
Job = Callable[[str], Coroutine[Any, Any, None]]


@asynccontextmanager
async def working(
    database: Database, job: Job, slots: int = 4, queue: WatchedQueue | None = None
) -> AsyncIterator[Worker]:
    worker = worker_of(database, slots=slots, queue=queue, look_seconds=0.05)
    await worker.start(lambda _shift: job)
    try:
        async with asyncio.timeout(120):
            yield worker
    finally:
        await worker.stop()


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


async def test_a_backlog_is_worked_off_from_the_start(database: Database) -> None:
    """Runs that were queued while no worker was there; none is dequeued before the worker knows the job."""
    runs = [f"run-{number}" for number in range(12)]
    queue_runs(database, *runs)
    ended = Ended(*runs)

    async def job(run_id: str) -> None:
        ended.add(run_id)

    async with working(database, job):
        await ended.all.wait()
    assert sorted(ended.runs) == sorted(runs)


async def test_a_run_that_is_queued_twice_runs_once(database: Database) -> None:
    ended = Ended("one", "two")

    async def job(run_id: str) -> None:
        ended.add(run_id)

    async with working(database, job):
        queue_runs(database, "one", "one")
        queue_runs(database, "one", "two")
        await ended.all.wait()
    assert sorted(ended.runs) == ["one", "two"]


async def test_a_worker_takes_no_more_than_it_has_slots(database: Database) -> None:
    """Neither in its rows, however often it looks: others may have room."""
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

    queue = WatchedQueue(Notifier())
    async with working(database, job, slots=2, queue=queue):
        queue_runs(database, *runs)
        await full.wait()
        await queue.looked(2)
        assert look(database, "SELECT count(*) FROM runs WHERE state = 'running'") == [(2,)]
        go.set()
        await ended.all.wait()
    assert most == 2


async def test_a_worker_that_stops_leaves_its_runs_to_the_next(database: Database) -> None:
    """The running ones are cancelled and awaited; they and the queued ones are done by the next worker."""
    queue_runs(database, "one", "two")
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
    assert look(database, "SELECT count(*) FROM runs WHERE ended_at IS NULL AND worker IS NULL") == [(2,)]
    ended = Ended("one", "two")

    async def job(run_id: str) -> None:
        ended.add(run_id)

    async with working(database, job):
        await ended.all.wait()


async def test_a_finished_step_is_not_repeated_after_a_kill(
    database: Database, migrated_url: str, tmp_path: Path
) -> None:
    """SIGKILL in the middle of the second step: another process does the second step again, and the first not."""
    queue_runs(database, "run-1")
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


async def test_what_a_step_raises_is_stored_without_its_text(database: Database) -> None:
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
        queue_runs(database, "run-1")
        await done.wait()
    assert seen == [f"{CANARY} [1, 2]"]
    if database.is_sqlite:
        for file in Path(str(database.url.database)).parent.glob("gitward.db*"):
            assert CANARY.encode() not in file.read_bytes()


async def test_what_steps_return_is_kept_as_json_until_the_run_has_ended(database: Database) -> None:
    kept = asyncio.Event()

    async def fine() -> dict[str, int]:
        return {"n": 1}

    async def job(_run_id: str) -> None:
        await checkpoint("fine", fine)
        kept.set()
        await asyncio.Event().wait()

    query = "SELECT checkpoints, checkpoints_version FROM runs"
    async with working(database, job):
        queue_runs(database, "run-1")
        await kept.wait()
        [(checkpoints, version)] = look(database, query)
    parsed = json.loads(checkpoints) if isinstance(checkpoints, str) else checkpoints
    assert (parsed, version) == ({"fine": {"n": 1}}, VERSION)

    async def over(_run_id: str) -> None:
        raise RuntimeError(CANARY)

    async with working(database, over):
        while look(database, "SELECT count(*) FROM runs WHERE ended_at IS NULL") != [(0,)]:
            await asyncio.sleep(0.05)
    assert look(database, query)[0][0] is None


async def test_a_run_with_checkpoints_of_another_version_is_left_alone(database: Database) -> None:
    """Another worker may understand them."""
    queue_runs(database, "theirs", "ours")
    with database.transaction() as tx:
        other = sa.update(schema.runs).where(schema.runs.c.id == "theirs")
        tx.execute(other.values(checkpoints={"fine": 1}, checkpoints_version=WITH_ENVIRONMENT + 1))
    ended = Ended("ours")

    async def job(run_id: str) -> None:
        ended.add(run_id)

    queue = WatchedQueue(Notifier())
    async with working(database, job, queue=queue):
        await ended.all.wait()
        await queue.looked(2)
    assert ended.runs == ["ours"]
    assert look(database, "SELECT state FROM runs WHERE id = 'theirs'") == [("queued",)]


class Odd(BaseException):
    """Nothing that an `except Exception` sees."""


async def return_early() -> None:
    """Without an end of the run."""


async def fail() -> None:
    raise RuntimeError(CANARY)


async def fail_oddly() -> None:
    raise Odd


async def cancel_itself() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize("end", [return_early, fail, fail_oddly, cancel_itself])
async def test_a_run_is_settled_whatever_its_task_did(database: Database, end: Callable[[], Awaitable[None]]) -> None:
    """And its place is free again."""
    queue_runs(database, "one", "two")

    async def job(run_id: str) -> None:
        if run_id == "one":
            await end()
            return
        await asyncio.Event().wait()

    queue = WatchedQueue(Notifier())
    async with working(database, job, queue=queue):
        while look(database, "SELECT state, reason, message FROM runs WHERE id = 'one'")[0][0] in {"queued", "running"}:
            await asyncio.sleep(0.02)
        assert look(database, "SELECT state, reason, message FROM runs WHERE id = 'one'") == [
            ("failed", "internal", ABANDONED)
        ]
        assert look(database, "SELECT run_id FROM tickets") == [("two",)]
        await queue.looked(2)
        assert look(database, "SELECT state FROM runs WHERE id = 'two'") == [("running",)], "its task goes on"


async def test_a_run_that_is_told_of_is_taken_at_once(database: Database) -> None:
    """Nobody waits for the next look, which comes in an hour."""
    notifier = Notifier()
    taken = asyncio.Event()

    async def job(_run_id: str) -> None:
        taken.set()
        await asyncio.Event().wait()

    worker = worker_of(database, notifier=notifier, look_seconds=3600.0)
    await worker.start(lambda _shift: job)
    try:
        for number in range(5):
            queue_runs(database, f"run-{number}")
            notifier.notify(WAKE)
            async with asyncio.timeout(120):
                await taken.wait()
            taken.clear()
            with database.transaction() as tx:
                queue_of(notifier).abandon(tx, worker_name(database), f"run-{number}")
            for task in asyncio.all_tasks():
                if task.get_name() == f"run run-{number}":
                    task.cancel()
    finally:
        await worker.stop()


def worker_name(database: Database) -> str:
    return str(look(database, "SELECT id FROM workers")[0][0])


def test_between_two_tries_to_work_again_a_worker_pauses_for_half_a_second_at_most() -> None:
    """Runs of lost workers wait for it, however long the database was away. A try itself takes its own time."""
    assert max(islice(pauses(), 1000)) <= 0.5
