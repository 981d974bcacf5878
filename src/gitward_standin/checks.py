"""What was checked at a commit: check runs (also the jobs of GitHub Actions) and commit statuses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gitward_standin.model import CheckRun, Repository, StatusContext

GOOD = ("success", "neutral", "skipped")  # conclusions that let a pull request pass


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
