"""/repos/{owner}/{repo}/issues, comments and labels. For GitHub a pull request is an issue too."""

from __future__ import annotations

from gitward_standin import changes
from gitward_standin.clock import timestamp
from gitward_standin.model import Comment, Discussion, Issue, PullRequest, Repository
from gitward_standin.node_ids import encode
from gitward_standin.rest import represent
from gitward_standin.rest.body import items, text
from gitward_standin.rest.call import Answer, ApiError, Call, Json, invalid, not_found
from gitward_standin.rest.pages import matching, page


async def index(call: Call) -> Answer:
    """Issues and pull requests, newest first. Filters: state, creator, assignee, labels (all of them)."""
    repository = call.repository()
    state = call.query.get("state") or "open"
    found: list[Discussion] = [*repository.issues, *repository.pulls]
    found = [each for each in found if state in ("all", each.state)]
    found = matching(call, found, creator=lambda each: each.author.login)
    if assignee := call.query.get("assignee", "").lower():
        found = [each for each in found if assignee in {who.login.lower() for who in each.assignees}]
    labels = {label.lower() for label in call.query.get("labels", "").split(",") if label}
    found = [each for each in found if labels <= {label.lower() for label in each.labels}]
    found.sort(key=lambda each: each.number, reverse=True)
    return page(call, [represented(call, each) for each in found])


async def get(call: Call) -> Answer:
    return Answer(payload=represented(call, _find(call, call.repository())))


async def create(call: Call) -> Answer:
    repository = call.discussable_repository()
    if not repository.issues_enabled:
        raise ApiError(410, "Issues are disabled for this repo")
    body = call.body()
    issue = changes.open_issue(
        call.site,
        repository,
        call.sender().account,
        title=text(body, "title") or "",
        body=text(body, "body", required=False),
        labels=_names(body.get("labels", [])),
        assignees=[call.site.accounts.get(str(login)) for login in items(body.get("assignees", []), "assignees")],
    )
    shown = represented(call, issue)
    return Answer(status=201, payload=shown, headers={"Location": shown["url"]})


async def update(call: Call) -> Answer:
    """Changes title, body, state, state_reason, labels, assignees."""
    repository = call.writable_repository()
    found = _find(call, repository)
    body = call.body()
    title, content, state = (text(body, name, required=False) for name in ("title", "body", "state"))
    if state not in (None, "open", "closed"):
        raise invalid({"resource": "Issue", "field": "state", "code": "invalid"})
    changes.edit(found, title=title, body=content, state=state)
    if "body" in body:
        found.body = content
    if isinstance(found, Issue) and state is not None:
        found.state_reason = text(body, "state_reason", required=False) or ("completed" if state == "closed" else None)
    if "labels" in body:
        found.labels = []
        found.label(*(changes.ensure_label(call.site, repository, name).name for name in _names(body["labels"])))
    if "assignees" in body:
        found.assignees = [call.site.accounts.get(str(login)) for login in items(body["assignees"], "assignees")]
    return Answer(payload=represented(call, found))


async def labels(call: Call) -> Answer:
    found = call.repository().labels.values()
    return page(call, [represent.label(call.site.links, label) for label in found])


async def labels_of(call: Call) -> Answer:
    repository = call.repository()
    found = _find(call, repository)
    return page(call, [represent.label(call.site.links, repository.labels[name]) for name in found.labels])


async def add_labels(call: Call) -> Answer:
    """Labels that do not exist yet are made, as on GitHub."""
    repository = call.writable_repository()
    found = _find(call, repository)
    found.label(*(changes.ensure_label(call.site, repository, name).name for name in _names(call.body().get("labels"))))
    return Answer(payload=[represent.label(call.site.links, repository.labels[name]) for name in found.labels])


async def comments(call: Call) -> Answer:
    found = _find(call, call.repository())
    return page(call, [_comment(call, comment) for comment in found.comments])


async def comment(call: Call) -> Answer:
    found = _find(call, call.discussable_repository())
    body = text(call.body(), "body") or ""
    written = changes.comment(call.site, found, call.sender().account, body)
    shown = _comment(call, written)
    return Answer(status=201, payload=shown, headers={"Location": shown["url"]})


async def get_comment(call: Call) -> Answer:
    return Answer(payload=_comment(call, _find_comment(call, call.repository())))


async def delete_comment(call: Call) -> Answer:
    found = _find_comment(call, call.writable_repository())
    found.on.comments.remove(found)
    return Answer(status=204, empty=True)


def _find(call: Call, repository: Repository) -> Discussion:
    number = call.number()
    found = repository.issue(number) or repository.pull(number)
    if found is None:
        raise not_found()
    return found


def _find_comment(call: Call, repository: Repository) -> Comment:
    number = call.number("comment")
    found = (comment for each in (*repository.issues, *repository.pulls) for comment in each.comments)
    comment = next((comment for comment in found if comment.id == number), None)
    if comment is None:
        raise not_found()
    return comment


def _names(value: object) -> list[str]:
    """Labels are given as strings or as objects with a name."""
    names = [entry.get("name") if isinstance(entry, dict) else entry for entry in items(value, "labels")]
    if not all(isinstance(name, str) and 0 < len(name) <= 50 for name in names):
        raise invalid({"resource": "Label", "code": "invalid", "field": "name"})
    return [str(name) for name in names]


def represented(call: Call, found: Discussion) -> Json:
    repository, links = found.repository, call.site.links
    owner, name = repository.owner.login, repository.name
    url = links.api("repos", owner, name, "issues", found.number)
    shown = {
        **represent.discussion(links, found),
        "url": url,
        "repository_url": links.api("repos", owner, name),
        "comments_url": f"{url}/comments",
        "labels_url": f"{url}/labels{{/name}}",
        "comments": len(found.comments),
        "node_id": encode(type(found).__name__, repository.id, found.id),
    }
    if isinstance(found, PullRequest):
        pull = represent.pull(links, found)
        names = ("url", "html_url", "diff_url", "patch_url", "merged_at")
        return {**shown, "draft": found.draft, "pull_request": {key: pull[key] for key in names}}
    return {**shown, "state_reason": found.state_reason}


def _comment(call: Call, comment: Comment) -> Json:
    repository, links = comment.repository, call.site.links
    base = ("repos", repository.owner.login, repository.name, "issues")
    return {
        "url": links.api(*base, "comments", comment.id),
        "html_url": comment.html_url,
        "issue_url": links.api(*base, comment.on.number),
        "id": comment.id,
        "node_id": encode("IssueComment", repository.id, comment.id),
        "user": represent.account(links, comment.author),
        "created_at": timestamp(comment.created_at),
        "updated_at": timestamp(comment.updated_at),
        "author_association": represent.association(repository, comment.author),
        "body": comment.body,
    }
