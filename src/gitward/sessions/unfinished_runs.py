"""The SQL of runs that are queued or running. Nothing here commits or decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from gitward.sessions.model import Run, RunState, Session
from gitward.sessions.places import STANDING_COLUMNS, Standing, standing_from_row, standing_of
from gitward.sessions.rows import run_from_row
from gitward.store import schema
from gitward.store.database import Transaction

_runs = schema.runs


_others = _runs.alias("others")
_UNFINISHED = (
    sa.select(sa.func.count())
    .select_from(_others)
    .where(_others.c.session_id == sa.bindparam("of_session"), _others.c.ended_at.is_(None))
    .scalar_subquery()
    .label("earlier")
)
_AROUND = sa.select(_UNFINISHED, *STANDING_COLUMNS)
_AROUND_AND_RUN = sa.select(_runs, _UNFINISHED, *STANDING_COLUMNS).where(
    _runs.c.id == sa.bindparam("run_id"), _runs.c.session_id == sa.bindparam("of_session")
)


def find_surroundings(tx: Transaction, session: Session) -> tuple[int, Standing]:
    """How many runs of the session have not ended, and where its owner's runs stand."""
    row = tx.execute(_AROUND, {"of_session": session.id, **standing_of(session.owner)}).one()
    return row.earlier, standing_from_row(row)


def find_run_and_surroundings(tx: Transaction, session: Session, run_id: str) -> tuple[Run, int, Standing] | None:
    """The same, with one of the session's runs; None: it has no such run."""
    parameters = {"of_session": session.id, "run_id": run_id, **standing_of(session.owner)}
    row = tx.execute(_AROUND_AND_RUN, parameters).first()
    return None if row is None else (run_from_row(row), row.earlier, standing_from_row(row))


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """A run that has not ended; a session may have very many."""

    id: str
    state: RunState


def list_unfinished(tx: Transaction, session_id: str) -> Sequence[Unfinished]:
    """Queued and active runs, in their order."""
    query = sa.select(_runs.c.id, _runs.c.state).where(_runs.c.session_id == session_id, _runs.c.ended_at.is_(None))
    return [Unfinished(id=row.id, state=RunState(row.state)) for row in tx.execute(query.order_by(_runs.c.number))]


def next_run(tx: Transaction, session_id: str) -> str | None:
    """The id of the session's first run that has not ended."""
    query = sa.select(_runs.c.id).where(_runs.c.session_id == session_id, _runs.c.ended_at.is_(None))
    return tx.execute(query.order_by(_runs.c.number).limit(1)).scalar()


def count_unfinished(tx: Transaction, session_id: str) -> int:
    return int(tx.execute(sa.select(_UNFINISHED), {"of_session": session_id}).scalar_one())
