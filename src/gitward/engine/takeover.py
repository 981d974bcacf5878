"""Who is alive, and who takes over the runs of the dead."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from typing import Any

import psycopg
from dbos import DBOS

from gitward.errors import SettingsError
from gitward.store.database import Database

log = logging.getLogger(__name__)


_TAKEN = "GITWARD_DATABASE_URL: another worker already uses this database; stop it before you start this one"
_POSTGRES_LOCK = 0x6769747761726401  # "gitward" and a number


class WorkerLock:
    """One worker process at a time holds the database: by a locked file beside SQLite, by an advisory lock on Postgres.

    The kernel, or Postgres, frees the lock when the process ends, however it ends.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._fd: int | None = None
        self._connection: psycopg.Connection[Any] | None = None

    def acquire(self) -> None:
        """Blocks for a moment. Whoever has the lock may call it again.

        :raises SettingsError: another process holds the lock.
        """
        if self._fd is not None or self._connection is not None:
            return
        if self._database.is_sqlite:
            self._lock_file(f"{self._database.url.database}.worker")
        else:
            self._lock_postgres()

    def _lock_file(self, path: str) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise SettingsError([_TAKEN]) from None
        self._fd = fd

    def _lock_postgres(self) -> None:
        url = self._database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        connection = psycopg.connect(url, autocommit=True, connect_timeout=10)
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", (_POSTGRES_LOCK,)).fetchone()
        if row is None or not row[0]:
            connection.close()
            raise SettingsError([_TAKEN])
        self._connection = connection

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None


async def recover_orphans(executor_id: str) -> None:
    """Puts the pending runs of every other executor back on the queue.

    To be called only by the holder of the worker's lock: the others are surely dead.
    DBOS has this function for its own cloud and marks it private; the kill test guards it against upgrades.
    """
    pending = await DBOS.list_workflows_async(status="PENDING", load_input=False, load_output=False)
    dead = sorted({w.executor_id for w in pending if w.executor_id and w.executor_id != executor_id})
    if dead:
        orphans = sum(workflow.executor_id in dead for workflow in pending)
        log.warning("Taking over %d run(s) of a worker that is gone", orphans)
        await asyncio.to_thread(DBOS._recover_pending_workflows, dead)
