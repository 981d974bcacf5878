"""Where the session's branch starts in this run."""

from __future__ import annotations

from gitward.errors import Reason, RunFailure
from gitward.repositories.refs import Refs
from gitward.repositories.start_point import StartPoint
from gitward.runs.context import Context
from gitward.runs.publishing import after_merge


def branch_start(context: Context, refs: Refs) -> StartPoint:
    """The branch continues where it was last pushed. It begins at the target when its pull request has ended.

    :raises RunFailure: `branch_not_found`.
    """
    branch, target = context.attempt.claim.session.branch, context.facts["target_branch"]
    target_sha, branch_sha = refs.get(f"refs/heads/{target}"), refs.get(f"refs/heads/{branch}")
    if target_sha is None:
        repository = context.facts["repository"]
        raise RunFailure(Reason.BRANCH_NOT_FOUND, f"{repository} has no branch {target} any more.")
    return StartPoint(
        branch=branch,
        target_branch=target,
        sha=target_sha if branch_sha is None or after_merge.is_done(context, branch_sha) else branch_sha,
        target_sha=target_sha,
        branch_sha=branch_sha,
    )
