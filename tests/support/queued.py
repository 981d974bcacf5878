"""Runs with a place and with names of a test's choice, and a worker for them: what is tested is the worker."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import sqlalchemy as sa

from gitward.sessions.journal import Journal
from gitward.sessions.model import RunState, new_id, now
from gitward.sessions.places import Places, RunLimits
from gitward.sessions.queue import RunQueue
from gitward.store import schema
from gitward.store.database import Database, Transaction
from gitward.store.notify import Notifier
from gitward.workers.worker import Worker

Row = dict[str, Any]


def queue_runs(database: Database, *run_ids: str) -> None:
    """Each in a session of its own; one that is there already is left alone."""
    with database.transaction() as tx:
        for run_id in run_ids:
            if tx.execute(sa.select(schema.runs.c.id).where(schema.runs.c.id == run_id)).first() is not None:
                continue
            session_id = new_id("ses")
            session: Row = {"repo": "acme/widgets", "repo_key": "acme/widgets", "title": "t", "labels": []}
            session |= {"submodules": [], "allow_workflows": False, "environment": "host", "state": RunState.QUEUED}
            session |= {"archived": False, "issuer": "gitward", "subject": "alice", "last_seq": 0}
            session |= {"created_at": now(), "updated_at": now(), "id": session_id, "branch": session_id}
            run: Row = {"number": 1, "state": RunState.QUEUED, "instruction": {}, "attempt": 0, "losses": 0}
            run |= {"output_truncated": False, "created_at": now(), "id": run_id, "session_id": session_id}
            last = sa.select(sa.func.coalesce(sa.func.max(schema.tickets.c.place), 0) + 1).scalar_subquery()
            ticket: Row = {"run_id": run_id, "owner": "alice", "has_place": True, "place": last, "waiting_since": now()}
            tx.execute(sa.insert(schema.sessions).values(**session))
            tx.execute(sa.insert(schema.runs).values(**run))
            tx.execute(sa.insert(schema.tickets).values(**ticket))


class WatchedQueue(RunQueue):
    """Counts how often a worker has looked at it without being told."""

    def __init__(self, notifier: Notifier) -> None:
        journal = Journal(notifier)
        super().__init__(places=Places(notifier, RunLimits(total=100, per_user=100)), journal=journal)
        self._looks = 0
        self._looked = threading.Condition()

    def has_work(self, tx: Transaction) -> bool:
        found = super().has_work(tx)
        with self._looked:
            self._looks += 1
            self._looked.notify_all()
        return found

    async def looked(self, times: int) -> None:
        """Returns when a worker has looked so many times from now on: what it would have done is done."""
        await asyncio.to_thread(self._wait_for_looks, times + 1)  # one may have begun before

    def _wait_for_looks(self, times: int) -> None:
        with self._looked:
            wanted = self._looks + times
            assert self._looked.wait_for(lambda: self._looks >= wanted, timeout=120)


def queue_of(notifier: Notifier) -> RunQueue:
    journal = Journal(notifier)
    return RunQueue(places=Places(notifier, RunLimits(total=100, per_user=100)), journal=journal)


def worker_of(
    database: Database,
    *,
    slots: int = 1,
    notifier: Notifier | None = None,
    queue: RunQueue | None = None,
    **more: Any,
) -> Worker:
    """One that nobody wakes, unless the test has its notifier."""
    notifier = notifier or Notifier()
    return Worker(database, queue=queue or queue_of(notifier), notifier=notifier, slots=slots, **more)
