"""GitHub Actions: workflows and their runs. The jobs of a run are its check runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from gitward_standin.accounts import Account
from gitward_standin.clock import now

if TYPE_CHECKING:
    from gitward_standin.checks import CheckRun
    from gitward_standin.repositories import Repository


@dataclass(kw_only=True, eq=False)
class Workflow:
    repository: Repository = field(repr=False)
    id: int
    name: str
    path: str  # .github/workflows/ci.yml
    state: str = "active"
    created_at: datetime = field(default_factory=now)


@dataclass(kw_only=True, eq=False)
class WorkflowRun:
    workflow: Workflow
    id: int
    suite_id: int  # of the check suite that goes with it
    number: int
    event: str  # push, pull_request, …
    branch: str
    sha: str
    title: str
    actor: Account
    status: str = "completed"  # queued, in_progress or completed
    conclusion: str | None = "success"
    attempt: int = 1
    created_at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)

    @property
    def repository(self) -> Repository:
        return self.workflow.repository

    @property
    def jobs(self) -> list[CheckRun]:
        return [check for check in self.repository.check_runs if check.run is self]
