"""The queue's SQL: the run that a worker gets next, the runs that it has, and the stored results of completed steps.

A run's state is stored once, in its row. The run waits for a worker if it has a place and its worker, if any, is not
among the living. So a takeover needs only the removal of the lost worker from the list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from gitward.errors import Reason
from gitward.sessions.journal import Journal
from gitward.sessions.model import ACTIVE_STATES, FINAL_STATES, RunState
from gitward.sessions.places import HAS_PLACE, Places
from gitward.sessions.progress import AttemptLost, Outcome, Progress, locked_run
from gitward.sessions.rows import WITH_BUDGET, WITH_ENVIRONMENT, WITH_PROMPT
from gitward.store import schema
from gitward.store.database import Transaction
from gitward.workers.queue import GENERATION, Taken

VERSION = 1  # of what checkpoints hold; raise it when a step's result changes in a way that others cannot follow
ABANDONED = "Gitward's worker ended the job before the run was settled; its log may say why. Retry the run."
_TRIES = 5  # for a run that another worker took in the same moment
_runs, _tickets, _sessions, _workers = schema.runs, schema.tickets, schema.sessions, schema.workers

_VERSIONS = (VERSION, WITH_PROMPT, WITH_BUDGET, WITH_ENVIRONMENT)
_UNDERSTOOD = sa.or_(_runs.c.checkpoints_version.is_(None), _runs.c.checkpoints_version.in_(_VERSIONS))
_STAYS = sa.func.coalesce(_runs.c.checkpoints_version, VERSION)
_FREE = sa.and_(
    _runs.c.state.not_in(FINAL_STATES),
    sa.or_(_runs.c.worker.is_(None), _runs.c.worker.not_in(sa.select(_workers.c.id))),
    _UNDERSTOOD,
)

_NEXT = (
    sa.select(_runs.c.id)
    .select_from(
        _tickets.join(_runs, _runs.c.id == _tickets.c.run_id).join(_sessions, _sessions.c.id == _runs.c.session_id)
    )
    .where(HAS_PLACE, _FREE)
    .order_by(_tickets.c.place, _tickets.c.number)
    .limit(1)
)
_NEXT_LOCKED = _NEXT.with_for_update(of=_sessions, skip_locked=True)


class RunQueue:
    """The queue of `workers.queue`, on our own tables."""

    def __init__(self, *, places: Places, journal: Journal) -> None:
        self._places = places
        self._journal = journal

    def _progress(self, worker: str) -> Progress:
        return Progress(places=self._places, journal=self._journal, worker=worker)

    def has_work(self, tx: Transaction) -> bool:
        return tx.execute(_NEXT).first() is not None

    def take(self, tx: Transaction, worker: str) -> Taken | None:
        """In the order in which places were given.

        On Postgres the *session's* row is locked, before the run's as everywhere. The row of the run may have changed
        while its session was looked for, so it is looked at again.
        """
        for _ in range(_TRIES):
            found = tx.execute(_NEXT_LOCKED).first()
            if found is None:
                return None
            still = sa.select(_runs.c.checkpoints).where(_runs.c.id == found.id, _FREE)
            row = tx.execute(still).first()
            if row is not None:
                hold = self._progress(worker).take(tx, found.id)
                return Taken(run_id=found.id, attempt=hold.attempt, checkpoints=row.checkpoints or {})
        return None

    def store(self, tx: Transaction, worker: str, taken: Taken, checkpoints: Mapping[str, Any]) -> bool:
        """:raises AttemptLost: another worker has the run."""
        mine = sa.and_(_runs.c.id == taken.run_id, _runs.c.worker == worker, _runs.c.attempt == taken.attempt)
        keep = sa.update(_runs).where(mine, _runs.c.state.in_(ACTIVE_STATES))
        if tx.execute(keep.values(checkpoints=dict(checkpoints), checkpoints_version=_STAYS)).rowcount:
            return True
        state = tx.execute(sa.select(_runs.c.state).where(_runs.c.id == taken.run_id)).scalar()
        if state is None or not RunState(state).is_final:
            raise AttemptLost(f"attempt {taken.attempt} of run {taken.run_id} is no longer the current one")
        return False

    def held(self, tx: Transaction, worker: str) -> Sequence[str]:
        mine = sa.select(_runs.c.id).where(_runs.c.worker == worker, _runs.c.state.in_(ACTIVE_STATES))
        return tx.execute(mine).scalars().all()

    def abandon(self, tx: Transaction, worker: str, run_id: str) -> bool:
        outcome = Outcome(state=RunState.FAILED, reason=Reason.INTERNAL, message=ABANDONED)
        row = locked_run(tx, run_id)
        if row is None or row.worker != worker or row.state not in ACTIVE_STATES:
            return False
        progress = self._progress(worker)
        progress.settle(tx, progress.take(tx, run_id), outcome)
        return True

    def release(self, tx: Transaction, worker: str) -> None:
        self._progress(worker).release(tx)
        tx.after_commit(self._places.notify_workers)

    def join_alone(self, tx: Transaction, worker: str) -> None:
        at = datetime.now(UTC)
        row: dict[str, Any] = {"machine": "", "processes": [], "lease_seconds": 0.0, "beats": 0}
        row |= {"started_at": at, "seen_at": at, "generation": GENERATION}
        tx.execute(sa.delete(_workers))
        tx.execute(sa.insert(_workers).values(id=worker, **row))

    def leave(self, tx: Transaction, worker: str) -> None:
        tx.execute(sa.delete(_workers).where(_workers.c.id == worker))
