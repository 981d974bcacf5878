"""The SQL of an owner's list of sessions: filters, pages and their cursors."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from gitward.errors import FieldError, InvalidRequest, Reason
from gitward.sessions.model import Owner, RunState, Session, is_id
from gitward.sessions.rows import session_from_row
from gitward.sessions.run_queries import latest_by_session
from gitward.store import schema
from gitward.store.database import Transaction

_sessions = schema.sessions
_runs = schema.runs

MOST_RUNS_IN_LIST = 20


@dataclass(frozen=True, kw_only=True)
class SessionFilter:
    """Which sessions a list shows."""

    state: RunState | None = None
    repo: str | None = None
    label: str | None = None
    archived: bool | None = None
    reason: Reason | None = None  # of the latest run's failure
    schedule: str | None = None
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True, kw_only=True)
class Page:
    items: tuple[Session, ...]
    next: str | None  # the cursor of the next page


def list_sessions(tx: Transaction, owner: Owner, wanted: SessionFilter) -> Page:
    """The owner's sessions, newest first, with their runs."""
    query = sa.select(_sessions).where(_sessions.c.issuer == owner.issuer, _sessions.c.subject == owner.subject)
    if wanted.state is not None:
        query = query.where(_sessions.c.state == wanted.state)
    if wanted.repo is not None:
        query = query.where(_sessions.c.repo_key == wanted.repo.lower())
    if wanted.archived is not None:
        query = query.where(_sessions.c.archived == wanted.archived)
    if wanted.schedule is not None:
        query = query.where(_sessions.c.schedule_id == wanted.schedule)
    if wanted.reason is not None:
        query = query.where(_sessions.c.state == RunState.FAILED, _latest(_runs.c.reason) == wanted.reason)
    if wanted.label is not None:
        query = query.where(_has_label(tx, wanted.label))
    if wanted.cursor is not None:
        created_at, session_id = _decode_cursor(wanted.cursor)
        query = query.where(
            sa.or_(
                _sessions.c.created_at < created_at,
                sa.and_(_sessions.c.created_at == created_at, _sessions.c.id < session_id),
            )
        )
    query = query.order_by(_sessions.c.created_at.desc(), _sessions.c.id.desc()).limit(wanted.limit + 1)
    sessions = [session_from_row(row) for row in tx.execute(query)]
    shown = sessions[: wanted.limit]
    runs = latest_by_session(tx, [session.id for session in shown], MOST_RUNS_IN_LIST)
    return Page(
        items=tuple(replace(session, runs=tuple(runs.get(session.id, ()))) for session in shown),
        next=_encode_cursor(shown[-1]) if len(sessions) > wanted.limit else None,
    )


def _latest(column: sa.Column[Any]) -> sa.ScalarSelect[Any]:
    """Of the session's latest run."""
    own = sa.select(column).where(_runs.c.session_id == _sessions.c.id).order_by(_runs.c.number.desc())
    return own.limit(1).correlate(_sessions).scalar_subquery()


def _has_label(tx: Transaction, label: str) -> sa.ColumnElement[bool]:
    if tx.connection.dialect.name == "postgresql":
        each = sa.func.json_array_elements_text(_sessions.c.labels).table_valued("value")
    else:
        each = sa.func.json_each(_sessions.c.labels).table_valued("value")
    return sa.exists(sa.select(sa.literal(1)).select_from(each).where(each.c.value == label))


def _encode_cursor(last: Session) -> str:
    return base64.urlsafe_b64encode(json.dumps([last.created_at.isoformat(), last.id]).encode()).decode().rstrip("=")


def _decode_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        created_at, session_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        moment = datetime.fromisoformat(created_at)
        if moment.tzinfo is None or not isinstance(session_id, str) or not is_id(session_id, "ses"):
            raise ValueError("not a cursor of ours")
        moment = moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, binascii.Error, RecursionError):
        message = "must be the `next` of an earlier answer"
        raise InvalidRequest("The cursor is not valid.", errors=[FieldError(field="cursor", message=message)]) from None
    return moment, session_id
