"""What was checked at a commit: check runs (also the jobs of GitHub Actions) and commit statuses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from gitward_standin.accounts import Account
from gitward_standin.clock import now

if TYPE_CHECKING:
    from gitward_standin.actions import WorkflowRun
    from gitward_standin.repositories import Repository

GOOD = ("success", "neutral", "skipped")  # conclusions that let a pull request pass


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a job."""

    number: int
    name: str
    conclusion: str | None  # None: not completed
    log: str = ""


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """A remark of a check about a line."""

    path: str
    line: int
    level: str  # notice, warning or failure
    message: str


@dataclass(kw_only=True, eq=False)
class CheckRun:
    """One check. With a `run` it is a job of that workflow run, under the same number."""

    repository: Repository = field(repr=False)
    id: int
    name: str
    sha: str
    status: str = "completed"  # queued, in_progress or completed
    conclusion: str | None = "success"
    run: WorkflowRun | None = field(default=None, repr=False)
    steps: tuple[Step, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    started_at: datetime = field(default_factory=now)
    completed_at: datetime | None = field(default_factory=now)
    details_url: str = ""


@dataclass(kw_only=True, eq=False)
class StatusContext:
    """A commit status, of the older API that needs no check."""

    repository: Repository = field(repr=False)
    id: int
    sha: str
    context: str
    state: str  # success, failure, error or pending
    creator: Account
    description: str | None = None
    target_url: str | None = None
    created_at: datetime = field(default_factory=now)


@dataclass(frozen=True, kw_only=True)
class Rollup:
    """All that was checked at one commit."""

    repository: Repository = field(repr=False)
    sha: str
    runs: tuple[CheckRun, ...]
    statuses: tuple[StatusContext, ...]

    @property
    def state(self) -> str:
        """success, pending or failure."""
        return combined(
            [run.conclusion if run.status == "completed" else "pending" for run in self.runs]
            + [status.state for status in self.statuses]
        )


def rollup(repository: Repository, sha: str) -> Rollup | None:
    """None when nothing was checked. Of a context that has several statuses the latest counts."""
    runs = tuple(run for run in repository.check_runs if run.sha == sha)
    latest = {status.context: status for status in repository.statuses if status.sha == sha}
    if not runs and not latest:
        return None
    return Rollup(repository=repository, sha=sha, runs=runs, statuses=tuple(latest.values()))


def combined(states: Iterable[str | None]) -> str:
    """One state for many: failure before pending before success."""
    found = set(states)
    if found & {"failure", "error", "cancelled", "timed_out", "action_required", "startup_failure"}:
        return "failure"
    return "success" if found <= set(GOOD) and found else "pending"
