"""Creates the sessions of due schedules: one for each time, whichever worker looks first."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from gitward.sessions.model import FINAL_STATES, Session
from gitward.sessions.model import now as local_now
from gitward.sessions.new_session import NewSession
from gitward.sessions.schedules import Schedule, find, update
from gitward.sessions.service import SessionService
from gitward.store import schema
from gitward.store.database import Transaction

log = logging.getLogger(__name__)

_schedules, _sessions = schema.schedules, schema.sessions
AT_ONCE = 50  # schedules that one look takes
STILL_ACTIVE = "The previous session had not ended."
LATE = "The service was down at earlier times; they were skipped."

Refusal = Callable[[NewSession, Mapping[str, Any]], str | None]  # why the operator's settings do not allow it any more
Clock = Callable[[Transaction], datetime]


def database_clock(tx: Transaction) -> datetime:
    """On Postgres the server's: the clocks of many workers may differ. SQLite has one machine."""
    if tx.connection.dialect.name != "postgresql":
        return local_now()
    moment: datetime = tx.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    return moment


class ScheduleRunner:
    """Works in the caller's transaction; `fire` makes the session and moves the schedule on in one."""

    def __init__(self, sessions: SessionService, refusal: Refusal, clock: Clock = database_clock) -> None:
        self._sessions = sessions
        self._refusal = refusal
        self._clock = clock

    def due(self, tx: Transaction) -> Sequence[str]:
        """The ids of schedules whose time has come, the longest waiting first."""
        query = sa.select(_schedules.c.id).where(_schedules.c.next_at <= self._clock(tx))
        return list(tx.execute(query.order_by(_schedules.c.next_at).limit(AT_ONCE)).scalars())

    def fire(self, tx: Transaction, schedule_id: str) -> Session | None:
        """The new session; None when another worker was faster, or this time is left out.

        Of several times that were missed only the last one counts.
        """
        schedule = find(tx, schedule_id, lock=True)
        at = self._clock(tx)
        if schedule is None or schedule.next_at is None or schedule.next_at > at:
            return None
        fire_at = max(schedule.next_at, schedule.timetable.latest(at))
        moved = replace(schedule, last_at=fire_at, next_at=schedule.timetable.after(at), skipped_because=None)
        refusal = self._refusal(schedule.template, {**schedule.claims, "iss": schedule.owner.issuer})
        if refusal is not None:
            log.warning("Schedule %s is paused: %s", schedule.id, refusal)
            update(tx, replace(moved, paused=True, next_at=None, skipped_because=refusal))
            return None
        if _was_made(tx, schedule, fire_at):
            update(tx, moved)
            return None
        if _is_active(tx, schedule):
            log.info("Schedule %s: skipped, because its last session has not ended", schedule.id)
            update(tx, replace(moved, skipped_because=STILL_ACTIVE))
            return None
        new = replace(schedule.template, schedule_id=schedule.id, scheduled_for=fire_at, claims=schedule.claims)
        session = self._sessions.create_session(tx, schedule.owner, new)
        late = LATE if fire_at > schedule.next_at else None
        update(tx, replace(moved, last_session_id=session.id, skipped_because=late))
        log.info("Schedule %s created session %s", schedule.id, session.id)
        return session


def _is_active(tx: Transaction, schedule: Schedule) -> bool:
    query = sa.select(_sessions.c.id).where(_sessions.c.schedule_id == schedule.id)
    return tx.execute(query.where(_sessions.c.state.not_in(FINAL_STATES)).limit(1)).first() is not None


def _was_made(tx: Transaction, schedule: Schedule, at: datetime) -> bool:
    """After a clock was set back."""
    query = sa.select(_sessions.c.id).where(_sessions.c.schedule_id == schedule.id, _sessions.c.scheduled_for == at)
    return tx.execute(query).first() is not None
