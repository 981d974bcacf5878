"""Who is alive, and who takes over the runs of the dead."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os

from dbos import DBOS

from gitward.errors import SettingsError
from gitward.store.database import Database

log = logging.getLogger(__name__)


class WorkerLock:
    """Beside SQLite: a file that one worker process holds locked. The kernel frees it when the process ends."""

    def __init__(self, database: Database) -> None:
        self._path = f"{database.url.database}.worker" if database.is_sqlite else None
        self._fd: int | None = None

    def acquire(self) -> None:
        """:raises SettingsError: another process holds the lock."""
        if self._path is None:
            return
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise SettingsError(
                [
                    "GITWARD_DATABASE_URL: another worker already uses this SQLite database; "
                    "stop it, or use Postgres for more than one worker"
                ]
            ) from None
        self._fd = fd

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


async def recover_orphans(executor_id: str) -> None:
    """Puts the pending runs of every other executor back on the queue.

    To be called only by the holder of the worker's lock beside SQLite: there the others are surely dead.
    DBOS has this function for its own cloud and marks it private; the kill test guards it against upgrades.
    """
    pending = await DBOS.list_workflows_async(status="PENDING", load_input=False, load_output=False)
    dead = sorted({w.executor_id for w in pending if w.executor_id and w.executor_id != executor_id})
    if dead:
        log.warning("Taking over %d run(s) of a worker that is gone", len(pending))
        await asyncio.to_thread(DBOS._recover_pending_workflows, dead)
