"""Mutations of issues, and of what issues and pull requests share: comments, labels, assignees."""

from __future__ import annotations

from typing import Any

from gitward_standin import changes
from gitward_standin.accounts import Account
from gitward_standin.graphql.connections import Edge
from gitward_standin.graphql.mutations.change import Change, Mutation
from gitward_standin.graphql.refusals import unprocessable
from gitward_standin.model import Comment, Discussion, Issue, Label, Milestone, Repository


async def _create_issue(change: Change) -> dict[str, Any]:
    repository = change.discuss(await change.node("repositoryId", Repository))
    if not repository.issues_enabled:
        raise unprocessable("The repository has disabled issues.")
    issue = changes.open_issue(
        change.visit.site,
        repository,
        change.sender,
        title=change.input["title"],
        body=change.input.get("body"),
        labels=[label.name for label in await change.nodes("labelIds", Label)],
        assignees=await change.nodes("assigneeIds", Account),
        milestone=await change.node("milestoneId", Milestone) if change.input.get("milestoneId") else None,
    )
    return {"issue": issue}


async def _update_issue(change: Change) -> dict[str, Any]:
    issue = await _issue(change, "id")
    given = change.input
    state = {"OPEN": "open", "CLOSED": "closed"}.get(given.get("state") or "")
    changes.edit(issue, title=given.get("title"), body=given.get("body"), state=state)
    if given.get("labelIds") is not None:
        issue.labels = []
        issue.label(*(label.name for label in await change.nodes("labelIds", Label)))
    if given.get("assigneeIds") is not None:
        issue.assignees = await change.nodes("assigneeIds", Account)
    if "milestoneId" in given:
        issue.milestone = await change.node("milestoneId", Milestone) if given["milestoneId"] else None
    return {"issue": issue}


async def _close_issue(change: Change) -> dict[str, Any]:
    issue = await _issue(change, "issueId")
    changes.edit(issue, state="closed")
    issue.state_reason = (change.input.get("stateReason") or "COMPLETED").lower()
    return {"issue": issue}


async def _reopen_issue(change: Change) -> dict[str, Any]:
    issue = await _issue(change, "issueId")
    changes.edit(issue, state="open")
    issue.state_reason = "reopened"
    return {"issue": issue}


async def _delete_issue(change: Change) -> dict[str, Any]:
    issue = await change.node("issueId", Issue)
    change.administer(issue.repository)
    issue.repository.issues.remove(issue)
    return {"repository": issue.repository}


async def _issue(change: Change, member: str) -> Issue:
    issue = await change.node(member, Issue)
    change.write(issue.repository)
    return issue


async def _add_comment(change: Change) -> dict[str, Any]:
    subject = await change.node("subjectId", Discussion)
    change.discuss(subject.repository)
    comment = changes.comment(change.visit.site, subject, change.sender, change.input["body"])
    return {"commentEdge": Edge(node=comment, cursor=""), "subject": subject}


async def _update_comment(change: Change) -> dict[str, Any]:
    comment = await _comment(change)
    changes.edit_comment(comment, change.input["body"])
    return {"issueComment": comment}


async def _delete_comment(change: Change) -> dict[str, Any]:
    comment = await _comment(change)
    comment.on.comments.remove(comment)
    return {}


async def _comment(change: Change) -> Comment:
    """One's own, or any for those who may push."""
    comment = await change.node("id", Comment)
    (change.discuss if comment.author == change.sender else change.write)(comment.repository)
    return comment


async def _add_labels(change: Change) -> dict[str, Any]:
    on = await _writable(change, "labelableId")
    on.label(*(label.name for label in await change.nodes("labelIds", Label)))
    return {"labelable": on}


async def _remove_labels(change: Change) -> dict[str, Any]:
    on = await _writable(change, "labelableId")
    gone = {label.name for label in await change.nodes("labelIds", Label)}
    on.labels = [name for name in on.labels if name not in gone]
    return {"labelable": on}


async def _create_label(change: Change) -> dict[str, Any]:
    repository = change.write(await change.node("repositoryId", Repository))
    name, color = change.input["name"], change.input["color"]
    if repository.label(name):
        raise unprocessable("Name has already been taken")
    site, description = change.visit.site, change.input.get("description")
    return {"label": changes.ensure_label(site, repository, name, color=color, description=description)}


async def _add_assignees(change: Change) -> dict[str, Any]:
    on = await _writable(change, "assignableId")
    on.assignees += [each for each in await change.nodes("assigneeIds", Account) if each not in on.assignees]
    return {"assignable": on}


async def _remove_assignees(change: Change) -> dict[str, Any]:
    on = await _writable(change, "assignableId")
    gone = await change.nodes("assigneeIds", Account)
    on.assignees = [each for each in on.assignees if each not in gone]
    return {"assignable": on}


async def _replace_actors(change: Change) -> dict[str, Any]:
    """By ids or by logins."""
    on = await _writable(change, "assignableId")
    accounts = change.visit.site.accounts
    named = [accounts.get(login) for login in change.input.get("actorLogins") or ()]
    on.assignees = [*await change.nodes("actorIds", Account), *named]
    return {"assignable": on}


async def _writable(change: Change, member: str) -> Discussion:
    on = await change.node(member, Discussion)
    change.write(on.repository)
    return on


_TEXTS = "title body labelIds assigneeIds milestoneId projectIds"

MUTATIONS = {
    "createIssue": Mutation(_create_issue, takes=f"repositoryId {_TEXTS}", gives="issue"),
    "updateIssue": Mutation(_update_issue, takes=f"id state {_TEXTS}", gives="actor issue"),
    "closeIssue": Mutation(_close_issue, takes="issueId stateReason", gives="issue"),
    "reopenIssue": Mutation(_reopen_issue, takes="issueId", gives="issue"),
    "deleteIssue": Mutation(_delete_issue, takes="issueId", gives="repository"),
    "addComment": Mutation(_add_comment, takes="subjectId body", gives="commentEdge subject"),
    "updateIssueComment": Mutation(_update_comment, takes="id body", gives="issueComment"),
    "deleteIssueComment": Mutation(_delete_comment, takes="id"),
    "addLabelsToLabelable": Mutation(_add_labels, takes="labelableId labelIds", gives="labelable"),
    "removeLabelsFromLabelable": Mutation(_remove_labels, takes="labelableId labelIds", gives="labelable"),
    "createLabel": Mutation(_create_label, takes="repositoryId name color description", gives="label"),
    "addAssigneesToAssignable": Mutation(_add_assignees, takes="assignableId assigneeIds", gives="assignable"),
    "removeAssigneesFromAssignable": Mutation(_remove_assignees, takes="assignableId assigneeIds", gives="assignable"),
    "replaceActorsForAssignable": Mutation(
        _replace_actors, takes="assignableId actorIds actorLogins", gives="assignable"
    ),
}
