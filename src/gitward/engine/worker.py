"""DBOS Transact as the worker's motor: it dequeues runs and checkpoints steps.

DBOS is one per process, so is this class. Coroutines run on the loop that called `start`.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from dbos import DBOS, DBOSClient, DBOSConfig

from gitward.engine.queue import APPLICATION, APPLICATION_VERSION, JOB, QUEUE
from gitward.engine.serialization import JsonSerializer
from gitward.engine.takeover import WorkerLock, recover_orphans
from gitward.store.database import Database

log = logging.getLogger(__name__)

Job = Callable[[str], Awaitable[None]]
T = TypeVar("T")

# DBOS's own limit also counts orderly restarts, and a workflow that reaches it can no longer be settled. Ours counts
# losses in the runs' table (sessions.progress) and comes long before.
MAX_RECOVERY_ATTEMPTS = 10_000
POLLING_SECONDS = 0.2  # at 0.15 the polls alone take 4 to 5 % of a core (scripts/bench idle)


def new_executor_id() -> str:
    """Unique for each start of a process: a takeover names the dead one by it."""
    return f"worker-{uuid.uuid4().hex[:16]}"


class Worker:
    """Executes runs until it is stopped."""

    def __init__(self, database: Database, *, executor_id: str, slots: int) -> None:
        self._database = database
        self.executor_id = executor_id
        self._slots = slots
        self._free = asyncio.Semaphore(slots)
        self._lock = WorkerLock(database)
        self._running: set[asyncio.Task[Any]] = set()
        self._stopping = False

    async def acquire(self) -> None:
        """Takes the worker's lock: from here on nobody else works on this database.

        :raises SettingsError: another worker has it.
        """
        await asyncio.to_thread(self._lock.acquire)

    async def start(self, job: Job) -> None:
        """Takes the lock, unless `acquire` did before; launches DBOS and begins to take runs.

        :raises SettingsError: another worker has the database.
        """
        await self.acquire()
        try:
            await asyncio.to_thread(migrate_engine, self._database)
            await asyncio.to_thread(self._declare_queue)
            # Before the launch: a run that DBOS dequeues without knowing the job stays pending for ever.
            DBOS.workflow(name=JOB, max_recovery_attempts=MAX_RECOVERY_ATTEMPTS)(self._tracked(job))
            _launch(self._database, self.executor_id)
            await recover_orphans(self.executor_id)
        except BaseException:
            await self.stop()
            raise

    def _declare_queue(self) -> None:
        """Before the launch, because DBOS looks for new queues only once a second.

        The limits of all workers together are kept before a run comes here (sessions.places).
        """
        client = DBOSClient(
            system_database_url=self._database.sync_url,
            serializer=JsonSerializer(),
            application_name=APPLICATION,
        )
        client.register_queue(
            QUEUE,
            worker_concurrency=self._slots,
            polling_interval_sec=POLLING_SECONDS,
        )
        client.destroy()

    def _tracked(self, job: Job) -> Callable[[str], Awaitable[None]]:
        async def run_session(run_id: str) -> None:
            if self._stopping:
                raise asyncio.CancelledError
            task = asyncio.current_task()
            assert task is not None
            self._running.add(task)
            try:
                async with self._free:  # DBOS has one number for all workers, of whichever started last
                    await job(run_id)
            finally:
                self._running.discard(task)

        return run_session

    async def stop(self) -> None:
        """Takes no more runs, ends the running ones and waits; they stay `running`, for the next start to take up."""
        self._stopping = True
        for task in tuple(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await asyncio.to_thread(DBOS.destroy, destroy_registry=True)
        # DBOS made its own threads the loop's, and they are gone with it.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
        self._lock.release()


def _launch(database: Database, executor_id: str) -> None:
    config: DBOSConfig = {
        "name": APPLICATION,
        "system_database_url": database.sync_url,
        "application_version": APPLICATION_VERSION,
        "executor_id": executor_id,
        "serializer": JsonSerializer(),
        "log_level": "WARNING",
        "enable_otlp": False,
    }
    DBOS(config=config)
    _use_our_log()
    DBOS.launch()


def _use_our_log() -> None:
    """DBOS brings a handler of its own, which would pass by the redaction."""
    for name in ("dbos", "dbos_logger"):
        theirs = logging.getLogger(name)
        theirs.handlers.clear()
        theirs.propagate = True


def migrate_engine(database: Database) -> None:
    """Creates or updates DBOS's own tables. Blocks; safe to run twice."""
    DBOS.migrate(database.sync_url)


async def checkpoint(name: str, step: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> T:
    """Runs a step of the current job, or returns what it returned when it was completed before.

    Arguments and results are JSON values and hold no secret.
    """
    return await DBOS.run_step_async({"name": name}, step, *arguments)
