"""Types that fixtures hand to tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from gitward.errors import Reason
from gitward.sessions.journal import Journal
from gitward.sessions.model import Event, Owner, RunState, Session
from gitward.sessions.places import Places
from gitward.sessions.progress import Outcome, Progress
from gitward.sessions.service import NewSession, SessionService
from gitward.store.database import Database
from gitward.store.notify import Notifier
from gitward.telemetry.metrics import Metrics
from gitward.workers.queue import DbosQueue


@dataclass(frozen=True, kw_only=True)
class Backend:
    """The service below HTTP."""

    database: Database
    notifier: Notifier
    journal: Journal
    queue: DbosQueue
    places: Places
    sessions: SessionService
    metrics: Metrics

    def progress(self, worker: str = "worker-1") -> Progress:
        """What a worker of this name tells about runs."""
        return Progress(places=self.places, journal=self.journal, worker=worker)

    async def create(self, owner: Owner, repo: str = "acme/widgets", **more: Any) -> Session:
        async with self.database.transaction() as tx:
            return await self.sessions.create_session(tx, owner, NewSession(repo=repo, **more))

    async def get(self, owner: Owner, session_id: str) -> Session:
        async with self.database.snapshot() as tx:
            return await self.sessions.get_session(tx, owner, session_id)

    async def end(self, run_id: str, state: RunState = RunState.SUCCEEDED, *, reason: Reason | None = None) -> None:
        """Takes the run and settles it at once."""
        progress = self.progress()
        async with self.database.transaction() as tx:
            claim = await progress.claim(tx, run_id)
            await progress.settle(tx, claim, Outcome(state=state, reason=reason, message="It ended."))

    async def events(self, session_id: str) -> list[Event]:
        async with self.database.snapshot() as tx:
            return list(await self.journal.read(tx, session_id, after=0, limit=10_000))

    async def jobs(self) -> list[str]:
        """The ids of the runs that are on the engine's queue, or were."""
        async with self.database.snapshot() as tx:
            jobs = sa.table("workflow_status", schema=None if self.database.is_sqlite else "dbos")
            query = sa.select(sa.column("workflow_uuid", sa.String)).select_from(jobs).order_by(sa.column("created_at"))
            return list((await tx.execute(query)).scalars())
