"""Schedules: each creates new sessions, repeatedly, from what its owner stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from gitward.errors import Conflict, NotFound
from gitward.sessions import audit_log
from gitward.sessions.audit_log import Act
from gitward.sessions.cron import CronTimes
from gitward.sessions.model import Instruction, Owner, is_id, new_id, now
from gitward.sessions.new_session import NewSession
from gitward.sessions.rows import instruction_from_json, instruction_to_json
from gitward.store import schema
from gitward.store.database import Transaction

_schedules = schema.schedules
MOST = 100  # of one owner


@dataclass(frozen=True, kw_only=True)
class Schedule:
    id: str
    owner: Owner
    timetable: CronTimes
    template: NewSession  # each session has a branch of its own
    claims: Mapping[str, Any]  # of the owner's token: those that the operator's rules looked at
    paused: bool
    next_at: datetime | None  # None while it is paused
    last_at: datetime | None  # the time that last came
    last_session_id: str | None  # the session that was last made
    skipped_because: str | None  # why none was made when it last came, or why it is paused
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class ScheduleChange:
    """What PATCH may set; None leaves a value as it is."""

    timetable: CronTimes | None = None
    paused: bool | None = None


class ScheduleService:
    """Schedules as their owner sees them. Every method works in the caller's transaction and checks the owner."""

    def create(
        self, tx: Transaction, owner: Owner, timetable: CronTimes, template: NewSession, claims: Mapping[str, Any]
    ) -> Schedule:
        """:raises Conflict: the owner has too many."""
        if len(self.list(tx, owner)) >= MOST:
            raise Conflict(f"You have {MOST} schedules, as many as one user may have; delete one first.")
        at = now()
        made = Schedule(
            id=new_id("sch"),
            owner=owner,
            timetable=timetable,
            template=template,
            claims=dict(claims),
            paused=False,
            next_at=timetable.after(at),
            last_at=None,
            last_session_id=None,
            skipped_because=None,
            created_at=at,
            updated_at=at,
        )
        tx.execute(sa.insert(_schedules).values(**_to_row(made)))
        audit_log.note(tx, Act.SCHEDULE_POSTED, owner, schedule_id=made.id, repo=template.repo)
        return made

    def list(self, tx: Transaction, owner: Owner) -> Sequence[Schedule]:
        """The owner's schedules, newest first."""
        return schedules_of(tx, owner)

    def get(self, tx: Transaction, owner: Owner, schedule_id: str) -> Schedule:
        """:raises NotFound: there is none, or it is another owner's."""
        found = find(tx, schedule_id)
        if found is None or found.owner != owner:
            raise NotFound("There is no such schedule.")
        return found

    def change(self, tx: Transaction, owner: Owner, schedule_id: str, change: ScheduleChange) -> Schedule:
        """What comes next is counted from now: a pause leaves nothing to catch up."""
        find(tx, schedule_id, lock=True)
        old = self.get(tx, owner, schedule_id)
        timetable = change.timetable or old.timetable
        paused = old.paused if change.paused is None else change.paused
        if (timetable, paused) == (old.timetable, old.paused):
            return old
        next_at = None if paused else timetable.after(now())
        new = replace(old, timetable=timetable, paused=paused, next_at=next_at, skipped_because=None, updated_at=now())
        update(tx, new)
        act = Act.SCHEDULE_PAUSED if paused and not old.paused else Act.SCHEDULE_CHANGED
        audit_log.note(tx, act, owner, schedule_id=new.id, repo=new.template.repo)
        return new

    def delete(self, tx: Transaction, owner: Owner, schedule_id: str) -> None:
        """Its sessions stay."""
        old = self.get(tx, owner, schedule_id)
        tx.execute(sa.delete(_schedules).where(_schedules.c.id == schedule_id))
        audit_log.note(tx, Act.SCHEDULE_REMOVED, owner, schedule_id=schedule_id, repo=old.template.repo)


def schedules_of(tx: Transaction, owner: Owner, *, lock: bool = False) -> Sequence[Schedule]:
    """Newest first. `lock` keeps others from changing them until the transaction ends."""
    query = sa.select(_schedules).where(_schedules.c.issuer == owner.issuer, _schedules.c.subject == owner.subject)
    query = query.order_by(_schedules.c.created_at.desc(), _schedules.c.id.desc())
    return [schedule_from_row(row) for row in tx.execute(query.with_for_update() if lock else query)]


def find(tx: Transaction, schedule_id: str, *, lock: bool = False) -> Schedule | None:
    """`lock` keeps others from changing it until the transaction ends."""
    if not is_id(schedule_id, "sch"):
        return None
    query = sa.select(_schedules).where(_schedules.c.id == schedule_id)
    row = tx.execute(query.with_for_update() if lock else query).first()
    return schedule_from_row(row) if row else None


def update(tx: Transaction, schedule: Schedule) -> None:
    tx.execute(sa.update(_schedules).where(_schedules.c.id == schedule.id).values(**_to_row(schedule)))


def _to_row(schedule: Schedule) -> dict[str, Any]:
    template = schedule.template
    return {
        "id": schedule.id,
        "issuer": schedule.owner.issuer,
        "subject": schedule.owner.subject,
        "schedule": schedule.timetable.schedule,
        "timezone": schedule.timetable.timezone,
        "repo": template.repo,
        "target_branch": template.target_branch,
        "title": template.title,
        "labels": list(template.labels),
        "submodules": list(template.submodules),
        "allow_workflows": template.allow_workflows,
        "environment": template.environment,
        "instruction": instruction_to_json(template.instruction),
        "claims": dict(schedule.claims),
        "paused": schedule.paused,
        "next_at": schedule.next_at,
        "last_at": schedule.last_at,
        "last_session_id": schedule.last_session_id,
        "skipped_because": schedule.skipped_because,
        "created_at": schedule.created_at,
        "updated_at": schedule.updated_at,
    }


def schedule_from_row(row: sa.Row[Any]) -> Schedule:
    instruction: Instruction = instruction_from_json(row.instruction)
    return Schedule(
        id=row.id,
        owner=Owner(issuer=row.issuer, subject=row.subject),
        timetable=CronTimes(schedule=row.schedule, timezone=row.timezone),
        template=NewSession(
            repo=row.repo,
            target_branch=row.target_branch,
            title=row.title,
            labels=tuple(row.labels),
            submodules=tuple(row.submodules),
            allow_workflows=row.allow_workflows,
            environment=row.environment,
            instruction=instruction,
        ),
        claims=row.claims,
        paused=row.paused,
        next_at=row.next_at,
        last_at=row.last_at,
        last_session_id=row.last_session_id,
        skipped_because=row.skipped_because,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
