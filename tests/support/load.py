"""A worker with a cheap job that goes through the real queue and the real claims and ends. Run as a program too.

Arguments: database URL, places in total, places per user, slots, seconds that a run takes.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from gitward.sessions.journal import Journal
from gitward.sessions.model import ACTIVE_STATES, RunState
from gitward.sessions.places import Places, RunLimits
from gitward.sessions.progress import Outcome, Progress
from gitward.sessions.queue import RunQueue
from gitward.store import schema
from gitward.store.database import Database
from gitward.store.notify import Notifier
from gitward.workers.shift import Job, Shift
from gitward.workers.worker import Worker, checkpoint

_runs, _sessions = schema.runs, schema.sessions
DONE = Outcome(state=RunState.SUCCEEDED, message="Done.")


@dataclass(frozen=True, kw_only=True)
class Load:
    """What the job needs."""

    database: Database
    progress: Progress
    seconds: float

    async def job(self, run_id: str) -> None:
        """Claims, works for a moment, settles: as the real one does, without a sandbox."""
        await checkpoint("work", self._work, run_id)
        await checkpoint("settle", self._settle, run_id)

    async def _work(self, run_id: str) -> None:
        with self.database.transaction() as tx:
            self.progress.take(tx, run_id)
        await asyncio.sleep(random.uniform(0, 2 * self.seconds))

    async def _settle(self, run_id: str) -> None:
        with self.database.transaction() as tx:
            claim = self.progress.take(tx, run_id)
            self.progress.settle(tx, claim, DONE)


async def most_at_once(database: Database) -> tuple[int, int, int]:
    """From the rows: the most runs that were active together, in all and of one user; and how many have not ended.

    `started_at` and `ended_at` are taken before their commits, and a run starts after the commit that freed its place:
    when the limits hold at every commit, these intervals never overlap further than the limits.
    """
    query = sa.select(_runs.c.started_at, _runs.c.ended_at, _sessions.c.subject).join(_sessions)
    with database.snapshot() as tx:
        rows = tx.execute(query).all()
    changes = [(row.started_at, 1, row.subject) for row in rows if row.started_at]
    changes += [(row.ended_at, -1, row.subject) for row in rows if row.ended_at]
    now: Counter[str] = Counter()
    total = user = 0
    for _, change, subject in sorted(changes):
        now[subject] += change
        total, user = max(total, now.total()), max(user, now[subject])
    return total, user, sum(row.ended_at is None for row in rows)


async def active_now(database: Database) -> tuple[int, int]:
    """In one snapshot: active runs in all, and the most of one user."""
    query = sa.select(sa.func.count()).select_from(_runs.join(_sessions)).where(_runs.c.state.in_(ACTIVE_STATES))
    with database.snapshot() as tx:
        counts = list(tx.execute(query.group_by(_sessions.c.subject)).scalars())
    return sum(counts), max(counts, default=0)


@asynccontextmanager
async def worker(
    database: Database, *, total: int, per_user: int, slots: int, seconds: float
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker as a process of its own, working."""
    url = database.url.set(drivername=database.url.get_backend_name()).render_as_string(hide_password=False)
    arguments = (str(value) for value in (total, per_user, slots, seconds))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, url, *arguments), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(300):
            assert await process.stdout.readline() == b"working\n"
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(300):
            await process.wait()


async def main(url: str, total: int, per_user: int, slots: int, *, seconds: float) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    database = Database(url)
    notifier = Notifier()
    journal = Journal(notifier)
    places = Places(notifier, RunLimits(total=total, per_user=per_user))
    queue = RunQueue(places=places, journal=journal)
    worker = Worker(database, queue=queue, notifier=notifier, slots=slots)

    def job(shift: Shift) -> Job:
        progress = Progress(places=places, journal=journal, worker=shift.id)
        return Load(database=database, progress=progress, seconds=seconds).job

    await worker.start(job)
    print("working", flush=True)
    await stop.wait()
    await worker.stop()
    await database.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *(int(number) for number in sys.argv[2:5]), seconds=float(sys.argv[5])))
