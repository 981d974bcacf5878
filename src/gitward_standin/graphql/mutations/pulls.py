"""Mutations of pull requests."""

from __future__ import annotations

from typing import Any

from gitward_standin import changes, merging
from gitward_standin.accounts import Account, Team
from gitward_standin.graphql.connections import Edge
from gitward_standin.graphql.mutations.change import Change, Mutation
from gitward_standin.model import AutoMerge, Label, Milestone, PullRequest, Repository, Review

_REVIEWS = {"APPROVE": "approved", "REQUEST_CHANGES": "changes_requested", "COMMENT": "commented"}


async def _create(change: Change) -> dict[str, Any]:
    repository = change.discuss(await change.node("repositoryId", Repository))
    change.write(repository)
    pull = await changes.open_pull(
        change.visit.site,
        repository,
        change.sender,
        title=change.input["title"],
        head=change.input["headRefName"],
        base=change.input["baseRefName"],
        body=change.input.get("body"),
        draft=bool(change.input.get("draft")),
    )
    return {"pullRequest": pull}


async def _update(change: Change) -> dict[str, Any]:
    pull = await _writable(change)
    given = change.input
    state = {"OPEN": "open", "CLOSED": "closed"}.get(given.get("state") or "")
    await changes.edit_pull(
        pull, title=given.get("title"), body=given.get("body"), base=given.get("baseRefName"), state=state
    )
    if given.get("labelIds") is not None:
        pull.labels = []
        pull.label(*(label.name for label in await change.nodes("labelIds", Label)))
    if given.get("assigneeIds") is not None:
        pull.assignees = await change.nodes("assigneeIds", Account)
    if "milestoneId" in given:
        pull.milestone = await change.node("milestoneId", Milestone) if given["milestoneId"] else None
    return {"pullRequest": pull}


async def _close(change: Change) -> dict[str, Any]:
    pull = await _writable(change)
    await changes.edit_pull(pull, state="closed")
    return {"pullRequest": pull}


async def _reopen(change: Change) -> dict[str, Any]:
    pull = await _writable(change)
    await changes.edit_pull(pull, state="open")
    return {"pullRequest": pull}


async def _ready(change: Change) -> dict[str, Any]:
    pull = await _writable(change)
    pull.draft = False
    return {"pullRequest": pull}


async def _draft(change: Change) -> dict[str, Any]:
    pull = await _writable(change)
    pull.draft = True
    return {"pullRequest": pull}


async def _merge(change: Change) -> dict[str, Any]:
    pull = await _writable(change)
    await merging.merge(pull, by=change.sender)
    return {"pullRequest": pull}


async def _enable_auto_merge(change: Change) -> dict[str, Any]:
    pull = await _writable(change)
    pull.auto_merge = AutoMerge(method=(change.input.get("mergeMethod") or "MERGE").lower(), by=change.sender)
    return {"pullRequest": pull}


async def _disable_auto_merge(change: Change) -> dict[str, Any]:
    pull = await _writable(change)
    pull.auto_merge = None
    return {"pullRequest": pull}


async def _request_reviews(change: Change) -> dict[str, Any]:
    """`union`: added to those who are asked already, else instead of them."""
    pull = await _writable(change)
    users, teams = await change.nodes("userIds", Account), await change.nodes("teamIds", Team)
    changes.request_reviews(pull, users, teams, union=bool(change.input.get("union")))
    return {"pullRequest": pull}


async def _request_reviews_by_login(change: Change) -> dict[str, Any]:
    pull = await _writable(change)
    accounts = change.visit.site.accounts
    logins = [*(change.input.get("userLogins") or ()), *(change.input.get("botLogins") or ())]
    slugs = [slug.rpartition("/")[2] for slug in change.input.get("teamSlugs") or ()]
    known = {team.slug: team for team in accounts.teams(pull.repository.owner)}
    users, teams = [accounts.find(login) for login in logins], [known.get(slug) for slug in slugs]
    changes.request_reviews(pull, users, teams, union=bool(change.input.get("union")))
    return {"pullRequest": pull}


async def _review(change: Change) -> dict[str, Any]:
    pull = await change.node("pullRequestId", PullRequest)
    change.discuss(pull.repository)
    state = _REVIEWS.get(change.input.get("event") or "COMMENT", "commented")
    body = change.input.get("body") or ""
    written: Review = changes.review(change.visit.site, pull, change.sender, state=state, body=body)
    return {"pullRequestReview": written, "reviewEdge": Edge(node=written, cursor="")}


async def _writable(change: Change) -> PullRequest:
    pull = await change.node("pullRequestId", PullRequest)
    change.write(pull.repository)
    return pull


_TEXTS = "title body baseRefName maintainerCanModify"
_MERGE = "pullRequestId mergeMethod commitHeadline commitBody expectedHeadOid authorEmail"

MUTATIONS = {
    "createPullRequest": Mutation(
        _create, takes=f"repositoryId headRefName headRepositoryId draft {_TEXTS}", gives="pullRequest"
    ),
    "updatePullRequest": Mutation(
        _update,
        takes=f"pullRequestId state labelIds assigneeIds milestoneId projectIds {_TEXTS}",
        gives="actor pullRequest",
    ),
    "closePullRequest": Mutation(_close, takes="pullRequestId", gives="pullRequest"),
    "reopenPullRequest": Mutation(_reopen, takes="pullRequestId", gives="pullRequest"),
    "markPullRequestReadyForReview": Mutation(_ready, takes="pullRequestId", gives="pullRequest"),
    "convertPullRequestToDraft": Mutation(_draft, takes="pullRequestId", gives="pullRequest"),
    "mergePullRequest": Mutation(_merge, takes=_MERGE, gives="actor pullRequest"),
    "enablePullRequestAutoMerge": Mutation(_enable_auto_merge, takes=_MERGE, gives="actor pullRequest"),
    "disablePullRequestAutoMerge": Mutation(_disable_auto_merge, takes="pullRequestId", gives="actor pullRequest"),
    "requestReviews": Mutation(
        _request_reviews, takes="pullRequestId userIds teamIds union", gives="actor pullRequest"
    ),
    "requestReviewsByLogin": Mutation(
        _request_reviews_by_login, takes="pullRequestId userLogins botLogins teamSlugs union", gives="actor pullRequest"
    ),
    "addPullRequestReview": Mutation(
        _review, takes="pullRequestId body event commitOID", gives="pullRequestReview reviewEdge"
    ),
}
