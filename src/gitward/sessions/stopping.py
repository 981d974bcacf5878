"""What an operator may do about another's work: end it. They are told how much it was, and not what it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import sqlalchemy as sa

from gitward.sessions import audit_log
from gitward.sessions.audit_log import Act
from gitward.sessions.model import Owner, RunState, now
from gitward.sessions.schedules import schedules_of, update
from gitward.sessions.service import SessionService
from gitward.store import schema
from gitward.store.database import Database, Transaction

BY = "an operator, on the machine"
WHY = "An operator paused it."
_MOST_ROUNDS = 10  # of looking for what was posted meanwhile
_runs, _sessions = schema.runs, schema.sessions


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """How much of an owner's work ends."""

    known: bool  # whether the owner has, or had, a session or a schedule here
    sessions: int
    schedules: int
    goes_on: bool  # still more was posted, or resumed, again and again


async def stop_owner(database: Database, sessions: SessionService, owner: Owner) -> Stopped:
    """Pauses the owner's schedules, and cancels each session that has a queued or running run. Workers end running
    ones as after a cancel of the owner's own."""
    if not await database.read(partial(_is_known, owner)):
        return Stopped(known=False, sessions=0, schedules=0, goes_on=False)
    await database.write(partial(_note, owner))
    cancelled: set[str] = set()
    schedules, goes_on = 0, True
    for _ in range(_MOST_ROUNDS):
        paused = await database.write(partial(_pause, owner))
        active = await database.read(partial(_active, owner))
        goes_on = bool(paused or active)
        if not goes_on:
            break
        for session_id in active:
            await database.write(partial(_cancel, sessions, owner, session_id))
        schedules += paused
        cancelled.update(active)
    return Stopped(known=True, sessions=len(cancelled), schedules=schedules, goes_on=goes_on)


def _is_known(owner: Owner, tx: Transaction) -> bool:
    its = (_sessions.c.issuer == owner.issuer, _sessions.c.subject == owner.subject)
    return tx.execute(sa.select(_sessions.c.id).where(*its).limit(1)).first() is not None or bool(
        schedules_of(tx, owner)
    )


def _note(owner: Owner, tx: Transaction) -> None:
    whom = {"owner_issuer": owner.issuer, "owner_subject": owner.subject}
    audit_log.note(tx, Act.OPERATOR, None, what="stopped an owner", **whom)


def _pause(owner: Owner, tx: Transaction) -> int:
    at, paused = now(), 0
    for schedule in schedules_of(tx, owner, lock=True):
        if not schedule.paused:
            update(tx, replace(schedule, paused=True, next_at=None, skipped_because=WHY, updated_at=at))
            detail = {"schedule_id": schedule.id, "repo": schedule.template.repo, "by": BY}
            audit_log.note(tx, Act.SCHEDULE_PAUSED, owner, **detail)
            paused += 1
    return paused


def _active(owner: Owner, tx: Transaction) -> Sequence[str]:
    """Sessions with a run that nobody has cancelled yet."""
    query = (
        sa.select(_runs.c.session_id)
        .distinct()
        .join(_sessions, _sessions.c.id == _runs.c.session_id)
        .where(_sessions.c.issuer == owner.issuer, _sessions.c.subject == owner.subject)
        .where(_runs.c.state.in_((RunState.QUEUED, RunState.RUNNING)))
    )
    return list(tx.execute(query).scalars())


def _cancel(sessions: SessionService, owner: Owner, session_id: str, tx: Transaction) -> None:
    sessions.cancel(tx, owner, session_id, by=BY)
