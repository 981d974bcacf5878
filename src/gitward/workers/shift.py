"""DBOS in this process, from launch to end, under one executor id: a worker's shift.

DBOS is one per process, so only one shift may be open. Coroutines run on the loop that called `begin`.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dbos import DBOS, DBOSClient, DBOSConfig

from gitward.grants.lease import Lease
from gitward.store.database import PASSING_ERRORS, Database
from gitward.workers import patience
from gitward.workers.queue import APPLICATION, APPLICATION_VERSION, JOB, QUEUE
from gitward.workers.serialization import JsonSerializer
from gitward.workers.takeover import give_back, recover

log = logging.getLogger(__name__)

Job = Callable[[str], Awaitable[None]]

# DBOS's own limit also counts orderly restarts, and a workflow that reaches it can no longer be settled. Ours counts
# losses in the runs' table (sessions.progress) and comes long before.
MAX_RECOVERY_ATTEMPTS = 10_000
END_SECONDS = 30.0  # for the jobs of a shift to end when they are cancelled


def new_executor_id() -> str:
    """Unique for each shift: a takeover names the dead one by it."""
    return f"worker-{uuid.uuid4().hex[:16]}"


class Shift:
    """Executes runs between `begin` and `end`, while its lease is held."""

    def __init__(self, database: Database, *, slots: int) -> None:
        self.id = new_executor_id()
        self.lease = Lease()  # without end, where a lock of the kernel tells who lives
        self._database = database
        self._dbos: DBOS | None = None
        self._jobs: set[asyncio.Task[Any]] = set()
        self._free = asyncio.Semaphore(slots)
        self._idle = asyncio.Event()
        self._idle.set()
        self._takes = True

    @property
    def running(self) -> int:
        """How many jobs are in progress."""
        return len(self._jobs)

    async def begin(self, job: Job) -> None:
        """Launches DBOS and begins to take runs."""
        # Before the launch: a run that DBOS dequeues without knowing the job stays pending for ever.
        DBOS.workflow(name=JOB, max_recovery_attempts=MAX_RECOVERY_ATTEMPTS)(self._tracked(job))
        self._dbos = _configured(self._database, self.id)
        DBOS.launch()  # on this thread, because DBOS runs jobs on the loop of its launch
        patience.teach(self._dbos)

    def _tracked(self, job: Job) -> Callable[[str], Awaitable[None]]:
        async def run_session(run_id: str) -> None:
            if not self._takes or not self.lease.held:
                await self._refuse(run_id)
            task = asyncio.current_task()
            assert task is not None
            self._jobs.add(task)
            self._idle.clear()
            try:
                async with self._free:  # DBOS has one number for all workers, of whichever started last
                    await job(run_id)
            finally:
                self._jobs.discard(task)
                if not self._jobs:
                    self._idle.set()

        return run_session

    async def _refuse(self, run_id: str) -> None:
        """A run that was dequeued at the last moment. Without a lease its new owner is found by others."""
        if self.lease.held:
            try:
                await asyncio.to_thread(give_back, run_id, self.id)
            except PASSING_ERRORS as error:  # `hand_over` gives it back, or whoever strikes this worker off
                log.warning("Run %s could not be given back yet (%s)", run_id, type(error).__name__)
        raise asyncio.CancelledError

    def close(self) -> None:
        """Takes no more runs from the queue."""
        self._takes = False
        if self._dbos is not None:
            for stop in self._dbos.background_thread_stop_events:
                stop.set()

    async def idle(self) -> None:
        """Returns when no job is in progress."""
        await self._idle.wait()

    async def end_jobs(self) -> None:
        """Ends every job, with its processes; nothing of them is checkpointed.

        :raises TimeoutError: one does not end.
        """
        self.close()
        async with asyncio.timeout(END_SECONDS):
            while self._jobs:
                for task in tuple(self._jobs):
                    task.cancel()
                await asyncio.wait(tuple(self._jobs))
                await asyncio.sleep(0)

    async def hand_over(self) -> None:
        """After `end_jobs`: whoever has a place takes the runs of this shift at once."""
        await asyncio.to_thread(recover, [self.id])

    async def end(self) -> None:
        """Ends DBOS in this process; after `end_jobs`."""
        self.close()
        await asyncio.to_thread(DBOS.destroy, destroy_registry=True)
        # DBOS made its own threads the loop's, and they are gone with it.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())


def declare_queue(database: Database, **limits: Any) -> None:
    """Before a shift begins, because DBOS looks for new queues only once a second. Blocks."""
    client = DBOSClient(
        system_database_url=database.sync_url,
        serializer=JsonSerializer(),
        application_name=APPLICATION,
    )
    try:
        client.register_queue(QUEUE, **limits)
    finally:
        client.destroy()


def _configured(database: Database, executor_id: str) -> DBOS:
    config: DBOSConfig = {
        "name": APPLICATION,
        "system_database_url": database.sync_url,
        "application_version": APPLICATION_VERSION,
        "executor_id": executor_id,
        "serializer": JsonSerializer(),
        "log_level": "WARNING",
        "enable_otlp": False,
    }
    dbos = DBOS(config=config)
    _use_our_log()
    return dbos


def _use_our_log() -> None:
    """DBOS brings a handler of its own, which would pass by the redaction."""
    for name in ("dbos", "dbos_logger"):
        theirs = logging.getLogger(name)
        theirs.handlers.clear()
        theirs.propagate = True
        theirs.filters = [_first_line]


def _first_line(record: logging.LogRecord) -> bool:
    """Of what DBOS tells: it quotes whole statements, and what they carried, when the database does not answer."""
    record.msg, record.args = record.getMessage().partition("\n")[0][:300], None
    return True
