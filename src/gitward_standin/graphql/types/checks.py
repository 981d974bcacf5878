"""What was checked at a commit: check runs, statuses, and the workflow runs of GitHub Actions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gitward_standin import history
from gitward_standin.checks import Rollup
from gitward_standin.graphql.connections import Connected, extra, tables
from gitward_standin.graphql.tables import Tables, attribute, fixed, keys, moment, plain, upper
from gitward_standin.graphql.visits import Visit
from gitward_standin.model import CheckRun, Repository, StatusContext, Workflow, WorkflowRun
from gitward_standin.node_ids import encode


@dataclass(frozen=True, kw_only=True)
class CheckSuite:
    """The checks of one workflow run; or a single check that no workflow made."""

    repository: Repository
    id: int
    sha: str
    checks: tuple[CheckRun, ...]
    run: WorkflowRun | None

    @property
    def status(self) -> str:
        return "completed" if all(check.status == "completed" for check in self.checks) else "in_progress"

    @property
    def conclusion(self) -> str | None:
        return next((check.conclusion for check in self.checks if check.conclusion != "success"), "success")


def suite_of_run(run: WorkflowRun) -> CheckSuite:
    return CheckSuite(repository=run.repository, id=run.suite_id, sha=run.sha, checks=tuple(run.jobs), run=run)


def suite_of(check: CheckRun) -> CheckSuite:
    if check.run is not None:
        return suite_of_run(check.run)
    return CheckSuite(repository=check.repository, id=check.id, sha=check.sha, checks=(check,), run=None)


def _is_required(
    _visit: Visit,
    _check: CheckRun | StatusContext,
    *,
    pull_request_id: str | None = None,  # noqa: ARG001 - GitHub's argument
    pull_request_number: int | None = None,  # noqa: ARG001 - GitHub's argument
) -> bool:
    """Nothing is required in the stand-in."""
    return False


async def _commit(_visit: Visit, checked: CheckSuite | StatusContext | Rollup) -> history.Commit | None:
    return await history.commit(checked.repository, checked.sha)


def _contexts(_visit: Visit, rollup: Rollup) -> list[CheckRun | StatusContext]:
    return [*rollup.runs, *rollup.statuses]


def _counts(contexts: Sequence[CheckRun | StatusContext]) -> Mapping[str, object]:
    checks = [context for context in contexts if isinstance(context, CheckRun)]
    statuses = [context for context in contexts if isinstance(context, StatusContext)]
    return {
        "checkRunCount": len(checks),
        "checkRunCountsByState": _counted(check.conclusion or check.status for check in checks),
        "statusContextCount": len(statuses),
        "statusContextCountsByState": _counted(status.state for status in statuses),
    }


def _counted(states: object) -> list[dict[str, object]]:
    assert hasattr(states, "__iter__")
    return [{"state": state.upper(), "count": count} for state, count in Counter(states).items()]


def _run_url(visit: Visit, run: WorkflowRun) -> str:
    return visit.url(run.repository.owner.login, run.repository.name, "actions", "runs", run.id)


def _workflow_url(visit: Visit, workflow: Workflow) -> str:
    repository = workflow.repository
    return visit.url(repository.owner.login, repository.name, "actions", "workflows", workflow.path.rpartition("/")[2])


def _suite_url(visit: Visit, suite: CheckSuite) -> str:
    return visit.url(suite.repository.owner.login, suite.repository.name, "commit", suite.sha, "checks")


def _runs(_visit: Visit, workflow: Workflow) -> list[WorkflowRun]:
    return [run for run in workflow.repository.runs if run.workflow is workflow]


TABLES: Tables = {
    "CheckRun": {
        **plain("name", "repository", "detailsUrl"),
        **fixed(external_id="", summary=None, text=None, title=None),
        "id": lambda _, check: encode("CheckRun", check.repository.id, check.id),
        "databaseId": attribute("id"),
        "status": upper("status"),
        "conclusion": upper("conclusion"),
        "startedAt": moment("started_at"),
        "completedAt": moment("completed_at"),
        "checkSuite": lambda _, check: suite_of(check),
        "permalink": attribute("details_url"),
        "url": attribute("details_url"),
        "isRequired": _is_required,
    },
    "CheckSuite": {
        **plain("repository"),
        "id": lambda _, suite: encode("CheckSuite", suite.repository.id, suite.id),
        "databaseId": attribute("id"),
        "status": upper("status"),
        "conclusion": upper("conclusion"),
        "checkRuns": Connected(lambda _, suite: suite.checks),
        "workflowRun": attribute("run"),
        "commit": _commit,
        "url": _suite_url,
    },
    "StatusContext": {
        **plain("context", "description", "targetUrl", "creator"),
        "id": lambda _, status: encode("StatusContext", status.repository.id, status.id),
        "state": upper("state"),
        "createdAt": moment("created_at"),
        "commit": _commit,
        "isRequired": _is_required,
    },
    "StatusCheckRollup": {
        "id": lambda _, rollup: encode("StatusCheckRollup", rollup.repository.id, rollup.sha),
        "state": upper("state"),
        "commit": _commit,
        "contexts": Connected(_contexts, extra=_counts),
    },
    "CheckRunStateCount": keys("state", "count"),
    "StatusContextStateCount": keys("state", "count"),
    "WorkflowRun": {
        **plain("event", "workflow"),
        "id": lambda _, run: encode("WorkflowRun", run.repository.id, run.id),
        "databaseId": attribute("id"),
        "runNumber": attribute("number"),
        "checkSuite": lambda _, run: suite_of_run(run),
        "createdAt": moment("created_at"),
        "updatedAt": moment("updated_at"),
        "url": _run_url,
    },
    "Workflow": {
        **plain("name"),
        "id": lambda _, workflow: encode("Workflow", workflow.repository.id, workflow.id),
        "databaseId": attribute("id"),
        "state": upper("state"),
        "createdAt": moment("created_at"),
        "url": _workflow_url,
        "runs": Connected(_runs),
    },
    **tables("CheckRun", "WorkflowRun"),
    "StatusCheckRollupContextConnection": {
        **tables("CheckRun")["CheckRunConnection"],
        **extra("checkRunCount", "checkRunCountsByState", "statusContextCount", "statusContextCountsByState"),
    },
    "StatusCheckRollupContextEdge": tables("CheckRun")["CheckRunEdge"],
}
