"""Parameters in paths. Their form is described, not checked: what cannot be an id is 404, like an unknown one."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from gitward.api import patterns

SessionId = Annotated[str, Path(description="The session's id.", json_schema_extra={"pattern": patterns.SESSION_ID})]
RunId = Annotated[str, Path(description="The run's id.", json_schema_extra={"pattern": patterns.RUN_ID})]
