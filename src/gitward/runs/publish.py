"""Step `publish`: takes the run's work into the result, stores it, and pushes the session's branch."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gitward.errors import Reason, RunFailure
from gitward.repositories import work as work_of
from gitward.repositories.baseline import Baseline
from gitward.repositories.git import GitFailed
from gitward.repositories.refs import Refs
from gitward.repositories.start import Start
from gitward.repositories.work import Scene, Work
from gitward.runs import after_merge, lfs_upload
from gitward.runs.commit_message import commit_message
from gitward.runs.context import Context, trailers
from gitward.runs.delivery import deliver, kept_sentence, store, store_unpushed
from gitward.runs.result_sandbox import Bench
from gitward.sessions.model import ArtifactKind, PublishMode
from gitward.sessions.progress import Begun


@dataclass(frozen=True, kw_only=True)
class Published:
    """What became of the change."""

    message: str
    changed: bool
    head_sha: str
    pushed: bool = False


async def take(context: Context, bench: Bench, noted: Baseline, refs: Refs) -> Work:
    """What the run left, in the result.

    :raises RunFailure: `task_failed`: git cannot work with what is there.
    """
    scene = Scene(
        workspace=context.workspace,
        baseline=noted,
        upstream=await asyncio.to_thread(lambda: frozenset(oid for _, oid in refs)),
        author=context.author,
        message=commit_message(context.attempt.claim.session, context.attempt.claim.run),
        trailers=tuple(trailers(context)),
        pushed=context.opened.pushes.heads,
    )
    try:
        return await work_of.take(bench.result, scene)
    except GitFailed as failure:
        message = f"git cannot take the run's files: {failure}"
        raise RunFailure(Reason.TASK_FAILED, message) from failure


async def publish(context: Context, bench: Bench, noted: Baseline, refs: Refs, begun: Begun) -> Published:
    """:raises RunFailure: `push_rejected`, `branch_protected`, `task_failed`, `work_not_on_branch`."""
    attempt, start = context.attempt, noted.start
    work = await take(context, bench, noted, refs)
    for notice in work.notices:
        await attempt.notice(notice)
    if work.problem is not None:
        await store_unpushed(context, bench, work)
        message = work.problem.message + kept_sentence(attempt, fit=False)
        raise RunFailure(work.problem.reason, message, exit_code=0, head_sha=None)
    if not work.changed:
        if work.anything:
            await store_unpushed(context, bench, work)
        _refuse_what_was_pushed_only(context, work, start)
        return await _unchanged(context, bench, work, begun)
    if attempt.claim.run.instruction.publish.mode is PublishMode.DRY_RUN:
        await store_unpushed(context, bench, work)
        return Published(message=_kept(context), changed=True, head_sha=work.head)
    work = await after_merge.with_left_behind(context, bench, work)
    if work.head == (context.opened.pushes.last or start.branch_sha):  # the command pushed it
        await store(context, bench, work)
        await after_merge.tell_left_behind(context, work)
        return await _pushed(context, work.head)
    head = await deliver(context, bench, work, refs)
    if work.left:
        await lfs_upload.keep_unpushed(context, bench, [each.oid for each in work.left])
    return Published(message=_told(context, head), changed=True, head_sha=head, pushed=True)


async def finish(context: Context, bench: Bench, head: str) -> Published:
    """What was left to do when an earlier attempt was lost after its push."""
    await store(context, bench, Work(head=head, changed=True))
    return await _pushed(context, head)


def _refuse_what_was_pushed_only(context: Context, work: Work, start: Start) -> None:
    """Of a run that ends without a change nothing may be upstream.

    :raises RunFailure: `work_not_on_branch`: the command pushed something, and took it back in its checkout alone.
    """
    pushed = context.opened.pushes.last
    if pushed is not None and pushed not in {work.head, start.branch_sha}:
        branch = context.attempt.claim.session.branch
        message = f"The command pushed {pushed[:12]} to {branch}, where it stands, but its checkout ended without it."
        raise RunFailure(Reason.WORK_NOT_ON_BRANCH, message, exit_code=0, head_sha=pushed)


async def _unchanged(context: Context, bench: Bench, work: Work, begun: Begun) -> Published:
    start = bench.start
    if _is_unproposed(context, work.head, bench, begun):
        if context.attempt.claim.session.pushed_sha != work.head:
            await context.attempt.record_push(work.head)
        branch = context.attempt.claim.session.branch
        message = f"The command changed nothing more; {work.head[:12]} is on {branch} already."
        return Published(message=message, changed=True, head_sha=work.head, pushed=True)
    moved = f" {start.target_branch} has {work.head[:12]} already." if work.head != start.sha else ""
    return Published(message=f"The command changed nothing.{moved}", changed=False, head_sha=work.head)


def _is_unproposed(context: Context, head: str, bench: Bench, begun: Begun) -> bool:
    """Whether a run is retried that had pushed its change, and failed before its pull request.

    That the branch is the session's was looked at by preflight. A lost worker may not have noted its push.
    """
    claim, start = context.attempt.claim, bench.start
    is_same = head == start.sha == begun.start_sha
    retried = claim.run.retry_of is not None
    opened = claim.session.pull_request
    unproposed = opened is None or opened.state in {"merged", "closed"}  # it was another head's
    return is_same and retried and head != start.target_sha and unproposed


async def _pushed(context: Context, head: str) -> Published:
    if context.attempt.claim.session.pushed_sha != head:
        await context.attempt.record_push(head)
    return Published(message=_told(context, head), changed=True, head_sha=head, pushed=True)


def _told(context: Context, head: str) -> str:
    return f"Pushed {head[:12]} to {context.attempt.claim.session.branch}."


def _kept(context: Context) -> str:
    """Of a dry run."""
    kept = context.attempt.kept
    if kept is None:
        return "Nothing was pushed, and the change could not be kept."
    kind = ArtifactKind.PATCH if ArtifactKind.PATCH in kept.kinds else kept.kinds[0]
    return f"The change is kept as a {kind}; nothing was pushed."
