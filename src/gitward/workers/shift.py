"""A worker's shift: it takes runs and executes them under one name, for as long as its lease is held."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from gitward.grants.lease import Lease, LeaseLost
from gitward.store.database import PASSING_ERRORS, Database, Transaction
from gitward.store.notify import Notifier
from gitward.workers.checkpoints import Checkpoints, as_task
from gitward.workers.persistence import persist
from gitward.workers.queue import WAKE, Queue, Taken

log = logging.getLogger(__name__)

Job = Callable[[str], Coroutine[Any, Any, None]]

LOOK_SECONDS = 1.0  # between two looks, should nobody tell of a run that waits
END_SECONDS = 30.0  # for the jobs of a shift to end when they are cancelled


def new_name() -> str:
    """Unique for each shift: a run's row names it."""
    return f"worker-{uuid.uuid4().hex[:16]}"


class Shift:
    """Executes runs between `begin` and `end`, while its lease is held."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        notifier: Notifier,
        *,
        slots: int,
        look_seconds: float = LOOK_SECONDS,
        may_take: Callable[[], bool] = lambda: True,
    ) -> None:
        """:param may_take: whether a run that begins now has a chance; it waits otherwise."""
        # These are the worker's, which outlives its shifts: a shift holds the ones that it uses, not the worker.
        self.id = new_name()
        self.lease = Lease()  # without end, where a lock of the kernel tells who lives
        self._database = database
        self._queue = queue
        self._notifier = notifier
        self._slots = slots
        self._may_take = may_take
        self._look_seconds = look_seconds
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._takes = True
        self._ending = False
        self._suspicious = True  # a run may be in progress in its row, and not here
        self._taking: asyncio.Task[None] | None = None

    @property
    def running(self) -> int:
        """How many jobs are in progress."""
        return len(self._jobs)

    async def begin(self, job: Job) -> None:
        """Begins to take runs."""
        self._taking = asyncio.create_task(self._work(job), name="taking runs")

    async def _work(self, job: Job) -> None:
        """Takes runs as they are told of, and looks once a second all the same."""
        with self._notifier.subscribe(WAKE) as news:
            told = True
            while True:
                try:
                    await self._check(job, told=told)
                except PASSING_ERRORS as error:
                    log.warning("No run can be taken (%s)", type(error).__name__)
                except LeaseLost:
                    log.warning("No run is taken: the lease is over")
                except Exception:  # the edge of a task that must go on
                    log.exception("No run could be taken; trying again")
                told = await news.wait(self._look_seconds)

    async def _check(self, job: Job, *, told: bool) -> None:
        work = told
        if not told or self._suspicious:
            held, work = await self._database.read(self._compare)
            await self._end_forgotten(held)
        while work and self._takes and self._may_take() and len(self._jobs) < self._slots:
            taken = await self._database.write(self._take)
            if taken is None:
                return
            self._start(job, taken)

    def _compare(self, tx: Transaction) -> tuple[list[str], bool]:
        return list(self._queue.held(tx, self.id)), self._queue.has_work(tx)

    async def _end_forgotten(self, held: list[str]) -> None:
        """No run stays in progress under a worker that lives and forgot it, whatever its task did."""
        for run_id in held:
            if run_id in self._jobs or self._ending or not self.lease.held:
                continue
            abandon = partial(self._queue.abandon, worker=self.id, run_id=run_id)
            if await self._database.write(abandon):
                log.error("Run %s is settled, because its job ended without doing so", run_id)
        self._suspicious = False

    def _take(self, tx: Transaction) -> Taken | None:
        taken = self._queue.take(tx, self.id)
        self.lease.require()  # after the wait for the locks, and before the commit
        return taken

    def _start(self, job: Job, taken: Taken) -> None:
        if taken.attempt > 1:
            log.warning("Run %s is taken over: attempt %d", taken.run_id, taken.attempt)
        checkpoints = Checkpoints(dict(taken.checkpoints), partial(self._store, taken))
        task = as_task(checkpoints, job(taken.run_id), f"run {taken.run_id}")
        self._jobs[taken.run_id] = task
        self._idle.clear()
        task.add_done_callback(partial(self._ended, taken.run_id))

    async def _store(self, taken: Taken, checkpoints: Mapping[str, Any]) -> None:
        try:
            await persist(
                self._database,
                lambda tx: self._queue.store(tx, self.id, taken, checkpoints),
                lease=self.lease,
                what=f"Run {taken.run_id}: its checkpoints",
            )
        except LeaseLost as lost:  # whoever has the run next does the checkpoint again
            raise asyncio.CancelledError from lost

    def _ended(self, run_id: str, task: asyncio.Task[None]) -> None:
        """A task that raised has not settled its run, and so may one that was cancelled by something of its own."""
        del self._jobs[run_id]
        if not self._jobs:
            self._idle.set()
        if task.cancelled():
            self._suspicious = not self._ending
        elif (error := task.exception()) is not None:
            log.error("The job of run %s failed", run_id, exc_info=error)
            self._suspicious = True
        self._notifier.wake(WAKE)  # a slot is free

    def close(self) -> None:
        """Takes no more runs from the queue."""
        self._takes = False

    async def idle(self) -> None:
        """Returns when no job is in progress."""
        await self._idle.wait()

    async def end_jobs(self) -> None:
        """Ends every job, with its processes; nothing of them is kept as done.

        :raises TimeoutError: one does not end.
        """
        self.close()
        self._ending = True
        async with asyncio.timeout(END_SECONDS):
            if self._taking is not None:
                self._taking.cancel()
                await asyncio.wait([self._taking])
            while self._jobs:
                tasks = tuple(self._jobs.values())
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                await asyncio.sleep(0)

    async def hand_over(self) -> None:
        """After `end_jobs`: whoever has room takes the runs of this shift at once, and nobody counts a loss."""
        await self._database.write(lambda tx: self._queue.release(tx, self.id))
