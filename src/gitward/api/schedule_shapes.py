"""Schedules as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from gitward.api import patterns
from gitward.api.answer_shapes import InstructionOut, OwnerOut
from gitward.api.request_shapes import TemplateIn, _Request
from gitward.sessions.cron import CronTimes
from gitward.sessions.schedules import Schedule, ScheduleChange

_CRON_RULE = "A cron expression with five fields: minute, hour, day of month, month, day of week."
_ZONE_RULE = "The time zone of the expression, with its daylight saving time."
Cron = Annotated[
    str,
    Field(
        max_length=100, examples=["0 6 * * MON"], description=_CRON_RULE, json_schema_extra={"pattern": patterns.CRON}
    ),
]
Zone = Annotated[
    str,
    Field(
        max_length=64,
        examples=["Europe/Berlin"],
        description=_ZONE_RULE,
        json_schema_extra={"pattern": patterns.TIME_ZONE},
    ),
]


class ScheduleIn(TemplateIn):
    """The times, and the session that each creates."""

    schedule: Cron
    timezone: Zone = "UTC"

    def timetable(self) -> CronTimes:
        """:raises ValueError: it is none."""
        return CronTimes(schedule=self.schedule, timezone=self.timezone)


class SchedulePatch(_Request):
    schedule: Cron | None = None
    timezone: Zone | None = None
    paused: bool | None = None

    def change(self, old: CronTimes) -> ScheduleChange:
        """:raises ValueError: the new timetable is none."""
        schedule = old.schedule if self.schedule is None else self.schedule
        timezone = old.timezone if self.timezone is None else self.timezone
        return ScheduleChange(timetable=CronTimes(schedule=schedule, timezone=timezone), paused=self.paused)


class ScheduleOut(BaseModel):
    """Creates a session each time it comes."""

    id: str
    schedule: str
    timezone: str
    repo: str
    target_branch: str | None
    title: str | None
    labels: list[str]
    environment: str
    submodules: list[str]
    allow_workflows: bool
    instruction: InstructionOut
    owner: OwnerOut
    paused: bool
    next_at: datetime | None = Field(description="The next time; null while it is paused.")
    last_at: datetime | None = Field(description="The last time.")
    last_session_id: str | None = Field(description="The session that it created last.")
    skipped_because: str | None = Field(
        description="Why the last time created no session, or why the schedule is paused."
    )
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, schedule: Schedule) -> ScheduleOut:
        names = ("repo", "target_branch", "title", "environment", "allow_workflows")
        template = {name: getattr(schedule.template, name) for name in names}
        own = {name: getattr(schedule, name) for name in cls.model_fields if hasattr(schedule, name)}
        return cls(
            **template,
            labels=list(schedule.template.labels),
            submodules=list(schedule.template.submodules),
            instruction=InstructionOut.model_validate(schedule.template.instruction),
            schedule=schedule.timetable.schedule,
            timezone=schedule.timetable.timezone,
            **(own | {"owner": OwnerOut.model_validate(schedule.owner)}),
        )


class SchedulePage(BaseModel):
    items: list[ScheduleOut]
    next: str | None = Field(None, description="Always null: a user has at most 100.")
