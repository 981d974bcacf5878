"""Pull requests, their commits, files, reviews and review requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gitward_standin import checks, history
from gitward_standin.access import may_write
from gitward_standin.accounts import Account, Team
from gitward_standin.graphql.connections import Connected, empty, tables
from gitward_standin.graphql.tables import Tables, attribute, fixed, moment, plain, upper
from gitward_standin.graphql.types.discussions import DISCUSSION, WRITTEN
from gitward_standin.graphql.types.git import Branch
from gitward_standin.graphql.visits import Visit
from gitward_standin.model import ChangedFile, PullRequest, Review
from gitward_standin.node_ids import encode

_CHANGE_TYPES = {"added": "ADDED", "modified": "MODIFIED", "removed": "DELETED", "renamed": "RENAMED"}


@dataclass(frozen=True, kw_only=True)
class PullRequestCommit:
    pull: PullRequest
    commit: history.Commit


@dataclass(frozen=True, kw_only=True)
class ReviewRequest:
    pull: PullRequest
    reviewer: Account | Team


async def _commits(_visit: Visit, pull: PullRequest) -> list[PullRequestCommit]:
    """Oldest first."""
    found = await history.commits(pull.repository, f"{pull.base_sha}..{pull.head_sha}")
    return [PullRequestCommit(pull=pull, commit=commit) for commit in reversed(found)]


async def _files(_visit: Visit, pull: PullRequest) -> list[ChangedFile]:
    return await history.changed_files(pull.repository, pull.base_sha, pull.head_sha)


async def _additions(visit: Visit, pull: PullRequest) -> int:
    return sum(file.additions for file in await _files(visit, pull))


async def _deletions(visit: Visit, pull: PullRequest) -> int:
    return sum(file.deletions for file in await _files(visit, pull))


async def _changed_files(visit: Visit, pull: PullRequest) -> int:
    return len(await _files(visit, pull))


def _requests(_visit: Visit, pull: PullRequest) -> list[ReviewRequest]:
    asked: list[Account | Team] = [*pull.reviewers, *pull.teams]
    return [ReviewRequest(pull=pull, reviewer=reviewer) for reviewer in asked]


def _reviews(
    _visit: Visit, pull: PullRequest, *, states: Sequence[str] | None = None, author: str | None = None
) -> list[Review]:
    found = [review for review in pull.reviews if not states or review.state.upper() in states]
    return [review for review in found if author in (None, review.author.login)]


def _latest_reviews(_visit: Visit, pull: PullRequest) -> list[Review]:
    """The newest of each author."""
    return list({review.author.login: review for review in pull.reviews}.values())


def _decision(visit: Visit, pull: PullRequest) -> str | None:
    states = {review.state for review in _latest_reviews(visit, pull)}
    for state in ("changes_requested", "approved"):
        if state in states:
            return state.upper()
    return "REVIEW_REQUIRED" if pull.reviewers or pull.teams else None


def _merge_state(_visit: Visit, pull: PullRequest) -> str:
    if pull.state == "closed":
        return "UNKNOWN"
    if pull.draft:
        return "DRAFT"
    checked = checks.rollup(pull.repository, pull.head_sha)
    return "UNSTABLE" if checked and checked.state != "success" else "CLEAN"


def _checked(_visit: Visit, pull: PullRequest) -> checks.Rollup | None:
    return checks.rollup(pull.repository, pull.head_sha)


async def _head_ref(_visit: Visit, pull: PullRequest) -> Branch | None:
    sha = await pull.repository.head(pull.head)
    return Branch(repository=pull.repository, ref=f"refs/heads/{pull.head}", sha=sha) if sha else None


async def _base_ref(_visit: Visit, pull: PullRequest) -> Branch | None:
    sha = await pull.repository.head(pull.base)
    return Branch(repository=pull.repository, ref=f"refs/heads/{pull.base}", sha=sha) if sha else None


async def _merge_commit(_visit: Visit, pull: PullRequest) -> history.Commit | None:
    return await history.commit(pull.repository, pull.merge_sha) if pull.merge_sha else None


async def _reviewed(_visit: Visit, review: Review) -> history.Commit | None:
    return await history.commit(review.repository, review.commit)


def _commit_url(_visit: Visit, of: PullRequestCommit) -> str:
    return f"{of.pull.html_url}/commits/{of.commit.sha}"


def _may_write(visit: Visit, pull: PullRequest) -> bool:
    return may_write(pull.repository, visit.viewer)


TABLES: Tables = {
    "PullRequest": {
        **DISCUSSION,
        **fixed(
            is_cross_repository=False,
            is_in_merge_queue=False,
            is_merge_queue_enabled=False,
            maintainer_can_modify=False,
        ),
        **fixed(potential_merge_commit=None, can_be_rebased=False),
        "isDraft": attribute("draft"),
        "headRefName": attribute("head"),
        "baseRefName": attribute("base"),
        "headRefOid": attribute("head_sha"),
        "baseRefOid": attribute("base_sha"),
        "headRef": _head_ref,
        "baseRef": _base_ref,
        "headRepository": attribute("repository"),
        "baseRepository": attribute("repository"),
        "headRepositoryOwner": attribute("repository.owner"),
        "additions": _additions,
        "deletions": _deletions,
        "changedFiles": _changed_files,
        "files": Connected(_files),
        "commits": Connected(_commits),
        "reviewRequests": Connected(_requests),
        "reviews": Connected(_reviews),
        "latestReviews": Connected(_latest_reviews),
        "latestOpinionatedReviews": Connected(_latest_reviews),
        "reviewDecision": _decision,
        "reviewThreads": empty(),
        "closingIssuesReferences": empty(),
        "mergeable": lambda _, pull: "MERGEABLE" if pull.state == "open" else "UNKNOWN",
        "mergeStateStatus": _merge_state,
        "merged": lambda _, pull: pull.merged_at is not None,
        "mergedAt": moment("merged_at"),
        "mergedBy": attribute("merged_by"),
        "mergeCommit": _merge_commit,
        "autoMergeRequest": lambda _, pull: (pull, pull.auto_merge) if pull.auto_merge else None,
        "statusCheckRollup": _checked,
        "permalink": attribute("html_url"),
        "viewerCanEnableAutoMerge": _may_write,
        "viewerCanDeleteHeadRef": _may_write,
    },
    "AutoMergeRequest": {
        **fixed(author_email=None, commit_body=None, commit_headline=None),
        "enabledAt": lambda visit, pair: moment("since")(visit, pair[1]),
        "enabledBy": lambda _, pair: pair[1].by,
        "mergeMethod": lambda _, pair: pair[1].method.upper(),
        "pullRequest": lambda _, pair: pair[0],
    },
    "PullRequestCommit": {
        **plain("commit"),
        "id": lambda _, of: encode("PullRequestCommit", of.pull.repository.id, of.pull.id, of.commit.sha),
        "pullRequest": attribute("pull"),
        "url": _commit_url,
    },
    "PullRequestChangedFile": {
        **plain("path", "additions", "deletions"),
        "changeType": lambda _, file: _CHANGE_TYPES[file.status],
        "viewerViewedState": lambda _visit, _file: "UNVIEWED",
    },
    "ReviewRequest": {
        "id": lambda _, asked: encode("ReviewRequest", asked.pull.repository.id, asked.pull.id, asked.reviewer.id),
        "asCodeOwner": lambda _visit, _asked: False,
        "pullRequest": attribute("pull"),
        "requestedReviewer": attribute("reviewer"),
    },
    "PullRequestReview": {
        **WRITTEN,
        **fixed(is_minimized=False, minimized_reason=None),
        "id": lambda _, review: encode("PullRequestReview", review.repository.id, review.id),
        "state": upper("state"),
        "submittedAt": moment("submitted_at"),
        "createdAt": moment("submitted_at"),
        "updatedAt": moment("submitted_at"),
        "publishedAt": moment("submitted_at"),
        "pullRequest": attribute("on"),
        "commit": _reviewed,
    },
    "PullRequestReviewThread": fixed(id=None, is_resolved=False),
    **tables("PullRequest", "PullRequestCommit", "PullRequestChangedFile", "ReviewRequest", "PullRequestReview"),
    **tables("PullRequestReviewThread"),
}
