"""Check runs and statuses of a commit: /repos/{owner}/{repo}/commits/{ref}/check-runs, status and statuses."""

from __future__ import annotations

from gitward_standin.checks import combined
from gitward_standin.clock import timestamp
from gitward_standin.model import CheckRun, Repository, StatusContext
from gitward_standin.node_ids import encode
from gitward_standin.rest import commits, represent
from gitward_standin.rest.call import Answer, Call, Json, not_found
from gitward_standin.rest.pages import matching, page


async def check_runs(call: Call) -> Answer:
    """Filters: check_name, status."""
    repository = call.repository()
    sha = (await commits.find(call, repository)).sha
    found = [run for run in repository.check_runs if run.sha == sha]
    found = matching(call, found, check_name=lambda run: run.name, status=lambda run: run.status)
    return page(call, [_check_run(call, run) for run in found], wrapped="check_runs")


async def check_run(call: Call) -> Answer:
    return Answer(payload=_check_run(call, _find(call, call.repository())))


async def annotations_of(call: Call) -> Answer:
    found = _find(call, call.repository())
    return page(
        call,
        [
            {
                "path": remark.path,
                "start_line": remark.line,
                "end_line": remark.line,
                "annotation_level": remark.level,
                "message": remark.message,
                "title": "",
                "raw_details": "",
                "blob_href": "",
            }
            for remark in found.annotations
        ],
    )


async def status(call: Call) -> Answer:
    """The combined status; of a context the latest counts."""
    repository = call.repository()
    sha = (await commits.find(call, repository)).sha
    latest = {each.context: each for each in repository.statuses if each.sha == sha}
    return Answer(
        payload={
            "state": combined(each.state for each in latest.values()),
            "sha": sha,
            "total_count": len(latest),
            "statuses": [_status(call, each) for each in latest.values()],
            "repository": represent.repository(call.site.links, repository, None),
            "url": call.site.links.api("repos", repository.owner.login, repository.name, "commits", sha, "status"),
        }
    )


async def statuses(call: Call) -> Answer:
    repository = call.repository()
    sha = (await commits.find(call, repository)).sha
    return page(call, [_status(call, each) for each in reversed(repository.statuses) if each.sha == sha])


def _find(call: Call, repository: Repository) -> CheckRun:
    number = call.number("check")
    found = next((run for run in repository.check_runs if run.id == number), None)
    if found is None:
        raise not_found()
    return found


def _check_run(call: Call, run: CheckRun) -> Json:
    repository, links = run.repository, call.site.links
    owner, name = repository.owner.login, repository.name
    url = links.api("repos", owner, name, "check-runs", run.id)
    annotated = {"annotations_count": len(run.annotations), "annotations_url": f"{url}/annotations"}
    return {
        "id": run.id,
        "node_id": encode("CheckRun", repository.id, run.id),
        "name": run.name,
        "head_sha": run.sha,
        "external_id": "",
        "url": url,
        "html_url": run.details_url,
        "details_url": run.details_url,
        "status": run.status,
        "conclusion": run.conclusion,
        "started_at": timestamp(run.started_at),
        "completed_at": timestamp(run.completed_at),
        "output": {"title": None, "summary": None, "text": None, **annotated},
        "check_suite": {"id": run.run.suite_id} if run.run else None,
        "app": {"slug": "github-actions", "name": "GitHub Actions"} if run.run else None,
        "pull_requests": [],
    }


def _status(call: Call, each: StatusContext) -> Json:
    repository = each.repository
    return {
        "id": each.id,
        "node_id": encode("StatusContext", repository.id, each.id),
        "url": call.site.links.api("repos", repository.owner.login, repository.name, "statuses", each.sha),
        "state": each.state,
        "context": each.context,
        "description": each.description,
        "target_url": each.target_url,
        "created_at": timestamp(each.created_at),
        "updated_at": timestamp(each.created_at),
        "creator": represent.account(call.site.links, each.creator),
    }
