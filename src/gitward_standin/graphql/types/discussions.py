"""Issues, pull requests and what hangs on both: comments, labels, milestones, reactions, projects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from gitward_standin.access import may_write
from gitward_standin.accounts import Account
from gitward_standin.graphql.connections import Connected, empty, ordered, tables
from gitward_standin.graphql.refusals import Refusal
from gitward_standin.graphql.tables import Table, Tables, absent, attribute, fixed, keys, moment, plain, upper
from gitward_standin.graphql.visits import Visit
from gitward_standin.model import Comment, Discussion, Issue, Label, Milestone, PullRequest
from gitward_standin.node_ids import encode
from gitward_standin.rest.represent import association

D = TypeVar("D", bound=Discussion)

REACTIONS = ("THUMBS_UP", "THUMBS_DOWN", "LAUGH", "HOORAY", "CONFUSED", "HEART", "ROCKET", "EYES")
_DATES = {"CREATED_AT": "id", "UPDATED_AT": "updated_at", "COMMENTS": "number"}
_CLASSIC = (
    "Projects (classic) is being deprecated in favor of the new Projects experience, see: "
    "https://github.blog/changelog/2024-05-23-sunset-notice-projects-classic/."
)


@dataclass(frozen=True, kw_only=True)
class ReactionGroup:
    """All reactions of one kind. Nobody reacts in the stand-in."""

    subject: object
    content: str


def state_of(discussion: Discussion) -> str:
    """OPEN, CLOSED or MERGED."""
    merged = isinstance(discussion, PullRequest) and discussion.merged_at is not None
    return "MERGED" if merged else discussion.state.upper()


def filtered_issues(
    visit: Visit,
    issues: Iterable[Issue],
    *,
    states: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    filter_by: dict[str, Any] | None = None,
    order_by: dict[str, str] | None = None,
) -> list[Issue]:
    """The filters of every connection of issues."""
    wanted = filter_by or {}
    states, labels = wanted.get("states") or states, wanted.get("labels") or labels
    found = [issue for issue in issues if not states or state_of(issue) in states]
    found = _labelled(found, labels)
    if author := wanted.get("createdBy"):
        found = [issue for issue in found if _same(visit, author, issue.author)]
    if assignee := wanted.get("assignee"):
        found = [issue for issue in found if any(assignee == "*" or _same(visit, assignee, a) for a in issue.assignees)]
    if mentioned := wanted.get("mentioned"):
        found = [issue for issue in found if f"@{mentioned}".lower() in (issue.body or "").lower()]
    return ordered(found, order_by, **_DATES)


def filtered_pulls(
    pulls: Iterable[PullRequest],
    *,
    states: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    head_ref_name: str | None = None,
    base_ref_name: str | None = None,
    order_by: dict[str, str] | None = None,
) -> list[PullRequest]:
    """The filters of every connection of pull requests."""
    found = [pull for pull in pulls if not states or state_of(pull) in states]
    found = [pull for pull in found if head_ref_name in (None, pull.head) and base_ref_name in (None, pull.base)]
    return ordered(_labelled(found, labels), order_by, **_DATES)


def _labelled(found: list[D], labels: Sequence[str] | None) -> list[D]:
    wanted = {label.lower() for label in labels or ()}
    return [each for each in found if not wanted or wanted & {label.lower() for label in each.labels}]


def _same(visit: Visit, login: str, account: Account) -> bool:
    login = visit.viewer.login if login == "@me" else login
    return login.lower() == account.login.lower()


def labels_of(_visit: Visit, on: Discussion, *, order_by: dict[str, str] | None = None) -> list[Label]:
    found = [on.repository.labels[name] for name in on.labels]
    return ordered(found, order_by, NAME="name", CREATED_AT="id")


def reaction_groups(_visit: Visit, subject: object) -> list[ReactionGroup]:
    return [ReactionGroup(subject=subject, content=content) for content in REACTIONS]


def _cards(visit: Visit, _on: Discussion) -> tuple[()]:
    """Classic projects are gone from github.com, which answers so; older Enterprise Servers still have them."""
    if visit.site.classic_projects:
        return ()
    raise Refusal("NOT_FOUND", _CLASSIC)


def _is_author(visit: Visit, value: Comment | Discussion) -> bool:
    return value.author == visit.viewer.account


def _may_write(visit: Visit, on: Discussion) -> bool:
    return may_write(on.repository, visit.viewer)


# Fields of whatever has an author and a text: issues, pull requests, comments, reviews.
WRITTEN: Table = {
    **plain("author", "repository"),
    **fixed(includes_created_edit=False, last_edited_at=None, editor=None, created_via_email=False),
    "body": lambda _, value: value.body or "",
    "bodyText": lambda _, value: value.body or "",
    "bodyHTML": lambda _, value: value.body or "",
    "authorAssociation": lambda _, value: association(value.repository, value.author),
    "databaseId": attribute("id"),
    "fullDatabaseId": lambda _, value: str(value.id),
    "reactionGroups": reaction_groups,
    "url": attribute("html_url"),
    "resourcePath": lambda visit, value: value.html_url.removeprefix(visit.site.links.public_url),
    "viewerDidAuthor": _is_author,
}
DISCUSSION: Table = {
    **WRITTEN,
    **plain("number", "title", "milestone"),
    **fixed(locked=False, active_lock_reason=None),
    "id": lambda _, on: encode(type(on).__name__, on.repository.id, on.id),
    "state": lambda _, on: state_of(on),
    "closed": lambda _, on: on.state == "closed",
    "createdAt": moment("created_at"),
    "updatedAt": moment("updated_at"),
    "closedAt": moment("closed_at"),
    "publishedAt": moment("created_at"),
    "titleHTML": attribute("title"),
    "assignees": Connected(lambda _, on: on.assignees),
    "assignedActors": Connected(lambda _, on: on.assignees),
    "labels": Connected(labels_of),
    "comments": Connected(lambda _, on: on.comments),
    "participants": Connected(lambda _, on: dict.fromkeys([on.author, *(comment.author for comment in on.comments)])),
    "projectCards": Connected(_cards),
    "projectItems": empty(),
    "projectsV2": empty("query", "orderBy"),
    "viewerCanUpdate": _may_write,
    "viewerCanClose": _may_write,
    "viewerCanReopen": _may_write,
    "viewerCanLabel": _may_write,
}


def _sub_issues_summary(_visit: Visit, _issue: Issue) -> dict[str, int]:
    return {"total": 0, "completed": 0, "percentCompleted": 0}


def _comment_pull(_visit: Visit, comment: Comment) -> PullRequest | None:
    return comment.on if isinstance(comment.on, PullRequest) else None


def _comment_issue(_visit: Visit, comment: Comment) -> Discussion:
    return comment.on


def _label_url(visit: Visit, label: Label) -> str:
    return visit.url(label.repository.owner.login, label.repository.name, "labels", label.name)


def _milestone_url(visit: Visit, milestone: Milestone) -> str:
    return visit.url(milestone.repository.owner.login, milestone.repository.name, "milestone", milestone.number)


TABLES: Tables = {
    "Issue": {
        **DISCUSSION,
        **fixed(is_pinned=False, issue_type=None, parent=None),
        "stateReason": upper("state_reason"),
        "blockedBy": empty(),
        "blocking": empty(),
        "subIssues": empty(),
        "subIssuesSummary": _sub_issues_summary,
        "closedByPullRequestsReferences": empty(),
    },
    "IssueComment": {
        **WRITTEN,
        **fixed(is_minimized=False, minimized_reason=None),
        "id": lambda _, comment: encode("IssueComment", comment.repository.id, comment.id),
        "createdAt": moment("created_at"),
        "updatedAt": moment("updated_at"),
        "publishedAt": moment("created_at"),
        "issue": _comment_issue,
        "pullRequest": _comment_pull,
        "viewerCanUpdate": _is_author,
        "viewerCanDelete": _is_author,
    },
    "Label": {
        **plain("name", "color", "description", "repository"),
        "id": lambda _, label: encode("Label", label.repository.id, label.id),
        "createdAt": moment("created_at"),
        "isDefault": lambda _visit, _label: False,
        "url": _label_url,
    },
    "Milestone": {
        **plain("number", "title", "description", "repository"),
        "id": lambda _, milestone: encode("Milestone", milestone.repository.id, milestone.id),
        "dueOn": moment("due_on"),
        "createdAt": moment("created_at"),
        "state": upper("state"),
        "closed": lambda _, milestone: milestone.state == "closed",
        "url": _milestone_url,
    },
    "ReactionGroup": {
        **plain("content"),
        "users": empty(),
        "reactors": empty(),
        "viewerHasReacted": lambda _visit, _group: False,
    },
    "SubIssuesSummary": keys("total", "completed", "percentCompleted"),
    "IssueType": absent("id", "name", "description", "color"),
    "Project": absent("id", "name", "number", "body", "state", "url", "resourcePath"),
    "ProjectColumn": absent("id", "name"),
    "ProjectCard": absent("id", "project", "column"),
    "ProjectV2": absent("id", "title", "number", "url", "resourcePath", "closed"),
    "ProjectV2Item": {
        **absent("id", "project"),
        "fieldValueByName": lambda _visit, _item, *, name: None,  # noqa: ARG005 - GitHub's argument
    },
    "ProjectV2ItemFieldSingleSelectValue": absent("id", "name", "optionId"),
    **tables("Issue", "IssueComment", "Label", "Milestone", "Assignee", "ProjectCard", "ProjectV2Item", "ProjectV2"),
    **tables("Project", "ReactingUser", "Reactor"),
}
