"""The SQL of sessions. Nothing here commits or decides."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from gitward.errors import Conflict, FieldError
from gitward.sessions.model import Owner, RunState, Session, is_id
from gitward.sessions.rows import PAGE, session_from_row
from gitward.store import schema, upsert
from gitward.store.database import Transaction

_sessions = schema.sessions
_runs = schema.runs
CANCELLED_EARLY = "Cancelled before it began."


def insert_session(tx: Transaction, session: Session, *, last_seq: int) -> None:
    """:raises Conflict: the branch is taken."""
    insert = upsert.insert(tx, _sessions).values(
        id=session.id,
        issuer=session.owner.issuer,
        subject=session.owner.subject,
        repo=session.repo,
        repo_key=session.repo.lower(),
        target_branch=session.target_branch,
        branch=session.branch,
        title=session.title,
        labels=list(session.labels),
        submodules=list(session.submodules),
        allow_workflows=session.allow_workflows,
        environment=session.environment,
        setup=session.setup,
        state=session.state,
        archived=session.archived,
        schedule_id=session.schedule_id,
        scheduled_for=session.scheduled_for,
        claims=dict(session.claims),
        origin=PAGE if session.from_page else None,
        last_seq=last_seq,
        created_at=session.created_at,
        updated_at=session.updated_at,
    )
    insert = insert.on_conflict_do_nothing(index_elements=[_sessions.c.repo_key, _sessions.c.branch])
    if tx.execute(insert.returning(_sessions.c.id)).first() is None:
        raise _branch_conflict(session)


def branch_is_taken(tx: Transaction, repo: str, branch: str, *, session_id: str) -> bool:
    """Whether another session than this one has the branch of this repository."""
    query = sa.select(_sessions.c.id).where(
        _sessions.c.repo_key == repo.lower(), _sessions.c.branch == branch, _sessions.c.id != session_id
    )
    return tx.execute(query).first() is not None


def _branch_conflict(session: Session) -> Conflict:
    """Whoever has it: another owner's sessions are nobody's business."""
    return Conflict(
        f"The branch {session.branch} of {session.repo} is taken; name another one.",
        errors=[FieldError(field="branch", message="is taken; name another one")],
    )


def find_session(tx: Transaction, session_id: str, *, lock: bool = False) -> Session | None:
    """The session without its runs. `lock` keeps others from changing it until the transaction ends."""
    if not is_id(session_id, "ses"):
        return None
    query = sa.select(_sessions).where(_sessions.c.id == session_id)
    row = tx.execute(query.with_for_update() if lock else query).first()
    return session_from_row(row) if row else None


def update_session(tx: Transaction, session_id: str, values: Mapping[str, Any]) -> None:
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    tx.execute(sa.update(_sessions).where(_sessions.c.id == session_id).values(**plain))


def reopen(tx: Transaction, owner: Owner, session_id: str, at: datetime) -> tuple[Session, int] | None:
    """Locks the owner's session for one more run and one event, whose `seq` it tells."""
    if not is_id(session_id, "ses"):
        return None
    mine = (_sessions.c.id == session_id, _sessions.c.issuer == owner.issuer, _sessions.c.subject == owner.subject)
    values = {"last_seq": _sessions.c.last_seq + 1, "updated_at": at, "state": RunState.QUEUED}
    row = tx.execute(sa.update(_sessions).where(*mine).values(**values).returning(_sessions)).first()
    return None if row is None else (session_from_row(row), int(row.last_seq))


def refresh_session_state(tx: Transaction, session_id: str) -> None:
    """The session's state is its latest run's."""
    tx.execute(sa.update(_sessions).where(_sessions.c.id == session_id).values(state=_latest_state(session_id)))


def _latest_state(session_id: str) -> sa.ScalarSelect[RunState]:
    states = sa.select(_runs.c.state).where(_runs.c.session_id == session_id)
    return states.order_by(_runs.c.number.desc()).limit(1).scalar_subquery()


def cancel_runs(
    tx: Transaction, session_id: str, at: datetime, *, states: Collection[RunState], events: int
) -> tuple[Session, int]:
    """Ends the session's queued runs, and asks the running one to end; as many as there are, in a statement for each
    of these states.

    :return: the session, and the `seq` of the first of so many events.
    """
    of_session = sa.update(_runs).where(_runs.c.session_id == session_id).values(cancel_requested_at=at)
    ended = {"state": RunState.CANCELLED, "message": CANCELLED_EARLY, "ended_at": at}
    if RunState.QUEUED in states:
        tx.execute(of_session.where(_runs.c.state == RunState.QUEUED).values(**ended))
    if RunState.RUNNING in states:
        tx.execute(of_session.where(_runs.c.state == RunState.RUNNING).values(state=RunState.CANCELLING))
    values = {"last_seq": _sessions.c.last_seq + events, "updated_at": at, "state": _latest_state(session_id)}
    row = tx.execute(
        sa.update(_sessions).where(_sessions.c.id == session_id).values(**values).returning(_sessions)
    ).one()
    return session_from_row(row), int(row.last_seq) - events + 1
