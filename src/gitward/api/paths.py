"""Parameters in paths. Their form is described, not checked: what cannot be an id is 404, like an unknown one."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from gitward.api import patterns

SessionId = Annotated[str, Path(description="The session's id.", json_schema_extra={"pattern": patterns.SESSION_ID})]
ScheduleId = Annotated[str, Path(description="The schedule's id.", json_schema_extra={"pattern": patterns.SCHEDULE_ID})]
ScheduleQuery = Annotated[str | None, Query(max_length=40, description="Only sessions that this schedule created.")]
RunId = Annotated[str, Path(description="The run's id.", json_schema_extra={"pattern": patterns.RUN_ID})]
