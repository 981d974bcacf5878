"""Who did what: an append-only log, written in the transaction of the act. It has names and reasons, no texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from gitward.sessions.model import Owner, now
from gitward.store import schema
from gitward.store.database import Database, Transaction

MAX_DETAIL = 300  # characters of one value
MOST_ROWS = 1_000_000  # the oldest beyond them go, whatever their age
ROWS_AT_ONCE = 500
PAGE = 500
REFUSALS_A_MINUTE = 60  # of sign-ins, of one process: strangers cannot fill the log
_rows = schema.audit_log


class Act(StrEnum):
    """What somebody did."""

    SIGN_IN = "sign_in"
    SIGN_IN_REFUSED = "sign_in.refused"
    SIGN_IN_RENEWAL_REFUSED = "sign_in.ended_by_issuer"
    SIGN_IN_LINK = "sign_in_link.created"
    SIGN_OUT = "sign_out"
    SESSION_POSTED = "session.posted"
    SESSION_ARCHIVED = "session.archived"
    SESSION_UNARCHIVED = "session.unarchived"
    SESSION_CANCELLED = "session.cancelled"
    FOLLOW_UP = "run.follow_up"
    RUN_RETRIED = "run.retried"
    RUN_PUBLISHED = "run.published"
    SCHEDULE_POSTED = "schedule.posted"
    SCHEDULE_CHANGED = "schedule.changed"
    SCHEDULE_PAUSED = "schedule.paused"
    SCHEDULE_REMOVED = "schedule.removed"
    OPERATOR = "operator"  # `detail.what` says which


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """One line of the log."""

    number: int  # rises; of two at the same moment, either may have the smaller
    at: datetime
    act: Act
    owner: Owner | None  # None: nobody knows who it was
    session_id: str | None
    run_id: str | None
    detail: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "at": self.at.isoformat().replace("+00:00", "Z"),
            "act": self.act,
            "issuer": self.owner.issuer if self.owner else None,
            "subject": self.owner.subject if self.owner else None,
            "session_id": self.session_id,
            "run_id": self.run_id,
            "detail": dict(self.detail),
        }


@dataclass(frozen=True, kw_only=True)
class AuditFilter:
    """Which lines a reader wants; None: all."""

    act: Act | None = None
    issuer: str | None = None
    subject: str | None = None
    session_id: str | None = None
    since: datetime | None = None


def note(
    tx: Transaction,
    act: Act,
    owner: Owner | None,
    *,
    session_id: str | None = None,
    run_id: str | None = None,
    **detail: str | None,
) -> None:
    """Writes a line that is there exactly if `tx` is committed."""
    told = {name: value[:MAX_DETAIL] for name, value in detail.items() if value is not None}
    tx.execute(
        sa.insert(_rows).values(
            at=now(),
            act=act,
            issuer=owner.issuer if owner else None,
            subject=owner.subject if owner else None,
            session_id=session_id,
            run_id=run_id,
            detail=told,
        )
    )


def read(tx: Transaction, wanted: AuditFilter, *, before: int | None, limit: int) -> Sequence[AuditEntry]:
    """Lines with a smaller number than `before`, the newest first."""
    query = sa.select(_rows).where(*_conditions(wanted)).order_by(_rows.c.number.desc()).limit(limit)
    if before is not None:
        query = query.where(_rows.c.number < before)
    return [_entry(row) for row in tx.execute(query)]


def read_after(tx: Transaction, wanted: AuditFilter, *, after: int, limit: int = PAGE) -> Sequence[AuditEntry]:
    """Lines with a greater number than `after`, the oldest first."""
    query = sa.select(_rows).where(*_conditions(wanted), _rows.c.number > after).order_by(_rows.c.number)
    return [_entry(row) for row in tx.execute(query.limit(limit))]


def _conditions(wanted: AuditFilter) -> Iterator[sa.ColumnElement[bool]]:
    named = {
        _rows.c.act: wanted.act,
        _rows.c.issuer: wanted.issuer,
        _rows.c.subject: wanted.subject,
        _rows.c.session_id: wanted.session_id,
    }
    yield from (column == value for column, value in named.items() if value is not None)
    if wanted.since is not None:
        yield _rows.c.at >= wanted.since


def _entry(row: Any) -> AuditEntry:
    return AuditEntry(
        number=row.number,
        at=row.at,
        act=Act(row.act),
        owner=None if row.issuer is None else Owner(issuer=row.issuer, subject=row.subject),
        session_id=row.session_id,
        run_id=row.run_id,
        detail=row.detail,
    )


def remove_old(tx: Transaction, before: datetime | None) -> int:
    """Removes some of the lines that are older, or beyond the most; how many."""
    newest = tx.execute(sa.select(sa.func.max(_rows.c.number))).scalar_one() or 0
    beyond = _rows.c.number <= newest - MOST_ROWS
    is_old = beyond if before is None else sa.or_(_rows.c.at < before, beyond)
    old = sa.select(_rows.c.number).where(is_old).order_by(_rows.c.number).limit(ROWS_AT_ONCE)
    return tx.execute(sa.delete(_rows).where(_rows.c.number.in_(tx.execute(old).scalars().all()))).rowcount


class Refusals:
    """Notes sign-ins that were refused: not more of them than a person can read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._minute = now()
        self._noted = 0

    async def note(self, reason: str) -> None:
        at = now()
        if at - self._minute >= timedelta(minutes=1):
            self._minute, self._noted = at, 0
        self._noted += 1
        if self._noted <= REFUSALS_A_MINUTE:
            await self._database.write(lambda tx: note(tx, Act.SIGN_IN_REFUSED, None, reason=reason))
