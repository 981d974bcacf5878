"""/repos/{owner}/{repo}/actions: workflows, their runs, jobs and logs."""

from __future__ import annotations

import io
import zipfile

from gitward_standin.clock import timestamp
from gitward_standin.model import CheckRun, Repository, Workflow, WorkflowRun
from gitward_standin.node_ids import encode
from gitward_standin.rest import represent
from gitward_standin.rest.call import Answer, Call, Json, not_found
from gitward_standin.rest.pages import matching, page


async def workflows(call: Call) -> Answer:
    found = call.repository().workflows
    return page(call, [_workflow(call, workflow) for workflow in found], wrapped="workflows")


async def workflow(call: Call) -> Answer:
    return Answer(payload=_workflow(call, _find_workflow(call, call.repository())))


async def runs(call: Call) -> Answer:
    """Newest first. Filters: branch, event, actor, status (or conclusion), head_sha."""
    return _runs(call, call.repository().runs)


async def runs_of_workflow(call: Call) -> Answer:
    repository = call.repository()
    wanted = _find_workflow(call, repository)
    return _runs(call, [run for run in repository.runs if run.workflow is wanted])


async def run(call: Call) -> Answer:
    return Answer(payload=_run(call, _find(call, call.repository())))


async def attempt(call: Call) -> Answer:
    found = _find(call, call.repository())
    if call.number("attempt") != found.attempt:
        raise not_found()
    return Answer(payload=_run(call, found))


async def jobs(call: Call) -> Answer:
    found = _find(call, call.repository())
    if "attempt" in call.params and call.number("attempt") != found.attempt:
        raise not_found()
    return page(call, [_job(call, job) for job in found.jobs], wrapped="jobs")


async def job(call: Call) -> Answer:
    return Answer(payload=_job(call, _find_job(call, call.repository())))


async def artifacts(call: Call) -> Answer:
    """The stand-in's runs make none."""
    _find(call, call.repository())
    return page(call, [], wrapped="artifacts")


async def run_logs(call: Call) -> Answer:
    """A redirect to an archive: a file for each job and one for each step."""
    found = _find(call, call.repository())
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        for place, each in enumerate(found.jobs):
            files.writestr(f"{place}_{each.name}.txt", _log(each))
            for step in each.steps:
                files.writestr(f"{each.name}/{step.number}_{step.name}.txt", step.log)
    return _redirect(call, archive.getvalue(), "application/zip")


async def job_logs(call: Call) -> Answer:
    return _redirect(call, _log(_find_job(call, call.repository())).encode(), "text/plain")


def _redirect(call: Call, content: bytes, content_type: str) -> Answer:
    return Answer(status=302, empty=True, headers={"Location": call.site.downloads.offer(content, content_type)})


def _log(job: CheckRun) -> str:
    return "".join(step.log for step in job.steps)


def _runs(call: Call, found: list[WorkflowRun]) -> Answer:
    wanted = call.query.get("status")
    found = [run for run in found if wanted in (None, "", run.status, run.conclusion)]
    found = matching(
        call,
        found,
        branch=lambda run: run.branch,
        event=lambda run: run.event,
        actor=lambda run: run.actor.login,
        head_sha=lambda run: run.sha,
    )
    return page(call, [_run(call, run) for run in reversed(found)], wrapped="workflow_runs")


def _find(call: Call, repository: Repository) -> WorkflowRun:
    number = call.number("run")
    found = next((run for run in repository.runs if run.id == number), None)
    if found is None:
        raise not_found()
    return found


def _find_job(call: Call, repository: Repository) -> CheckRun:
    number = call.number("job")
    found = next((check for check in repository.check_runs if check.id == number and check.run is not None), None)
    if found is None:
        raise not_found()
    return found


def _find_workflow(call: Call, repository: Repository) -> Workflow:
    """By its number or the name of its file."""
    wanted = call.params["workflow"]
    names = ((workflow, (str(workflow.id), workflow.path.rpartition("/")[2])) for workflow in repository.workflows)
    found = next((workflow for workflow, known in names if wanted in known), None)
    if found is None:
        raise not_found()
    return found


def _workflow(call: Call, found: Workflow) -> Json:
    repository, links = found.repository, call.site.links
    owner, name = repository.owner.login, repository.name
    return {
        "id": found.id,
        "node_id": encode("Workflow", repository.id, found.id),
        "name": found.name,
        "path": found.path,
        "state": found.state,
        "created_at": timestamp(found.created_at),
        "updated_at": timestamp(found.created_at),
        "url": links.api("repos", owner, name, "actions", "workflows", found.id),
        "html_url": links.html(owner, name, "blob", repository.default_branch, found.path),
        "badge_url": links.html(owner, name, "workflows", found.name, "badge.svg"),
    }


def _run(call: Call, found: WorkflowRun) -> Json:
    repository, links = found.repository, call.site.links
    owner, name = repository.owner.login, repository.name
    url = links.api("repos", owner, name, "actions", "runs", found.id)
    return {
        "id": found.id,
        "node_id": encode("WorkflowRun", repository.id, found.id),
        "name": found.workflow.name,
        "display_title": found.title,
        "head_branch": found.branch,
        "head_sha": found.sha,
        "path": found.workflow.path,
        "run_number": found.number,
        "run_attempt": found.attempt,
        "event": found.event,
        "status": found.status,
        "conclusion": found.conclusion,
        "workflow_id": found.workflow.id,
        "check_suite_id": found.suite_id,
        "check_suite_node_id": encode("CheckSuite", repository.id, found.suite_id),
        "url": url,
        "html_url": links.html(owner, name, "actions", "runs", found.id),
        "pull_requests": [],
        "created_at": timestamp(found.created_at),
        "updated_at": timestamp(found.updated_at),
        "run_started_at": timestamp(found.created_at),
        "actor": represent.account(links, found.actor),
        "triggering_actor": represent.account(links, found.actor),
        "jobs_url": f"{url}/jobs",
        "logs_url": f"{url}/logs",
        "artifacts_url": f"{url}/artifacts",
        "check_suite_url": links.api("repos", owner, name, "check-suites", found.suite_id),
        "cancel_url": f"{url}/cancel",
        "rerun_url": f"{url}/rerun",
        "previous_attempt_url": None,
        "workflow_url": links.api("repos", owner, name, "actions", "workflows", found.workflow.id),
        "head_commit": {"id": found.sha, "message": found.title},
        "repository": represent.repository(links, repository, None),
        "head_repository": represent.repository(links, repository, None),
    }


def _job(call: Call, found: CheckRun) -> Json:
    repository, links, run = found.repository, call.site.links, found.run
    assert run is not None
    owner, name = repository.owner.login, repository.name
    return {
        "id": found.id,
        "run_id": run.id,
        "run_url": links.api("repos", owner, name, "actions", "runs", run.id),
        "run_attempt": run.attempt,
        "node_id": encode("CheckRun", repository.id, found.id),
        "head_sha": found.sha,
        "head_branch": run.branch,
        "workflow_name": run.workflow.name,
        "url": links.api("repos", owner, name, "actions", "jobs", found.id),
        "html_url": links.html(owner, name, "actions", "runs", run.id, "job", found.id),
        "status": found.status,
        "conclusion": found.conclusion,
        "created_at": timestamp(found.started_at),
        "started_at": timestamp(found.started_at),
        "completed_at": timestamp(found.completed_at),
        "name": found.name,
        "steps": [
            {
                "name": step.name,
                "status": "completed" if step.conclusion else "queued",
                "conclusion": step.conclusion,
                "number": step.number,
                "started_at": timestamp(found.started_at),
                "completed_at": timestamp(found.completed_at),
            }
            for step in found.steps
        ],
        "check_run_url": links.api("repos", owner, name, "check-runs", found.id),
        "labels": ["ubuntu-latest"],
    }
