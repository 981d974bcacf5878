"""Types that fixtures hand to tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from gitward.errors import Reason
from gitward.sessions.journal import Journal
from gitward.sessions.model import Event, Owner, RunState, Session
from gitward.sessions.new_session import NewSession
from gitward.sessions.places import Places
from gitward.sessions.progress import Outcome, Progress
from gitward.sessions.queue import RunQueue
from gitward.sessions.service import SessionService
from gitward.store import schema
from gitward.store.database import Database
from gitward.store.notify import Notifier
from gitward.telemetry.metrics import Metrics


@dataclass(frozen=True, kw_only=True)
class Backend:
    """The service below HTTP."""

    database: Database
    notifier: Notifier
    journal: Journal
    queue: RunQueue
    places: Places
    sessions: SessionService
    metrics: Metrics
    admitted: list[str] = field(default_factory=list)  # whom `jobs` saw; who was cancelled leaves no trace of its place

    def progress(self, worker: str = "worker-1") -> Progress:
        """What a worker of this name tells about runs."""
        return Progress(places=self.places, journal=self.journal, worker=worker)

    async def create(self, owner: Owner, repo: str = "acme/widgets", **more: Any) -> Session:
        with self.database.transaction() as tx:
            return self.sessions.create_session(tx, owner, NewSession(repo=repo, **more))

    async def get(self, owner: Owner, session_id: str) -> Session:
        with self.database.snapshot() as tx:
            return self.sessions.get_session(tx, owner, session_id)

    async def end(self, run_id: str, state: RunState = RunState.SUCCEEDED, *, reason: Reason | None = None) -> None:
        """Takes the run and settles it at once."""
        progress = self.progress()
        with self.database.transaction() as tx:
            claim = progress.take(tx, run_id)
            progress.settle(tx, claim, Outcome(state=state, reason=reason, message="It ended."))

    async def events(self, session_id: str) -> list[Event]:
        with self.database.snapshot() as tx:
            return list(self.journal.read(tx, session_id, after=0, limit=10_000))

    async def jobs(self) -> list[str]:
        """The ids of the runs that have a place, or had one, in the order in which they got it."""
        with self.database.snapshot() as tx:
            place = sa.func.coalesce(schema.tickets.c.place, 0)
            given = sa.select(schema.runs.c.id).outerjoin(schema.tickets)
            had = sa.or_(schema.tickets.c.has_place, schema.runs.c.attempt > 0)
            order = (schema.tickets.c.run_id.is_not(None), place, schema.runs.c.created_at)
            self.admitted.extend(
                run_id
                for run_id in tx.execute(given.where(had).order_by(*order)).scalars()
                if run_id not in self.admitted
            )
            there = set(tx.execute(sa.select(schema.runs.c.id)).scalars())
        return [run_id for run_id in self.admitted if run_id in there]
