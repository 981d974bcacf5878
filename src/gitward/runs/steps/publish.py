"""Step `publish`: takes the run's work into the result, stores it, and pushes the session's branch."""

from __future__ import annotations

from gitward.errors import Reason, RunFailure
from gitward.repositories.baseline import Baseline
from gitward.repositories.refs import Refs
from gitward.repositories.start_point import StartPoint
from gitward.repositories.work import Work
from gitward.runs.context import Context
from gitward.runs.publishing import after_merge, lfs_upload
from gitward.runs.publishing.collected_work import collect_work
from gitward.runs.publishing.push_and_store import Published, deliver, store, store_unpushed, stored_work_sentence
from gitward.runs.publishing.result_sandbox import ResultSandbox
from gitward.sessions.model import ArtifactKind, PublishMode
from gitward.sessions.progress import EarlierAttempts


async def publish(
    context: Context, result_sandbox: ResultSandbox, noted: Baseline, refs: Refs, begun: EarlierAttempts
) -> Published:
    """:raises RunFailure: `push_rejected`, `branch_protected`, `task_failed`, `work_not_on_branch`."""
    attempt, start = context.attempt, noted.start
    work = await collect_work(context, result_sandbox, noted, refs)
    for notice in work.notices:
        await attempt.notice(notice)
    if work.problem is not None:
        await store_unpushed(context, result_sandbox, work)
        message = work.problem.message + stored_work_sentence(attempt, fit=False)
        raise RunFailure(work.problem.reason, message, exit_code=0, head_sha=None)
    if not work.changed:
        if work.anything:
            await store_unpushed(context, result_sandbox, work)
        _refuse_what_was_pushed_only(context, work, start)
        return await _unchanged(context, result_sandbox, work, begun)
    if attempt.run.instruction.publish.mode is PublishMode.DRY_RUN:
        await store_unpushed(context, result_sandbox, work)
        return Published(message=_dry_run_sentence(context), changed=True, head_sha=work.head)
    work = await after_merge.with_left_behind(context, result_sandbox, work)
    if work.head == (context.access.pushes.last or start.branch_sha):  # the command pushed it
        await store(context, result_sandbox, work)
        await after_merge.record_left_behind(context, work)
        return await _pushed(context, work.head)
    head = await deliver(context, result_sandbox, work, refs)
    if work.left:
        await lfs_upload.store_unpushed(context, result_sandbox, [each.oid for each in work.left])
    return Published(message=_pushed_sentence(context, head), changed=True, head_sha=head, pushed=True)


async def finish(context: Context, result_sandbox: ResultSandbox, head: str) -> Published:
    """What was left to do when an earlier attempt was lost after its push."""
    await store(context, result_sandbox, Work(head=head, changed=True))
    return await _pushed(context, head)


def _refuse_what_was_pushed_only(context: Context, work: Work, start: StartPoint) -> None:
    """Of a run that ends without a change nothing may be upstream.

    :raises RunFailure: `work_not_on_branch`: the command pushed something, and took it back in its checkout alone.
    """
    pushed = context.access.pushes.last
    if pushed is not None and pushed not in {work.head, start.branch_sha}:
        branch = context.attempt.session.branch
        message = (
            f"The command pushed {pushed[:12]} to {branch}, where GitHub has it, but its checkout ended without it."
        )
        raise RunFailure(Reason.WORK_NOT_ON_BRANCH, message, exit_code=0, head_sha=pushed)


async def _unchanged(context: Context, result_sandbox: ResultSandbox, work: Work, begun: EarlierAttempts) -> Published:
    start = result_sandbox.start
    if _is_unproposed(context, work.head, result_sandbox, begun):
        if context.attempt.session.pushed_sha != work.head:
            await context.attempt.record_push(work.head)
        branch = context.attempt.session.branch
        message = f"Nothing else changed; {work.head[:12]} is on {branch} already."
        return Published(message=message, changed=True, head_sha=work.head, pushed=True)
    moved = f" {start.target_branch} has {work.head[:12]} already." if work.head != start.sha else ""
    who = "command" if context.instruction.prompt is None else "agent"
    return Published(message=f"The {who} changed nothing.{moved}", changed=False, head_sha=work.head)


def _is_unproposed(context: Context, head: str, result_sandbox: ResultSandbox, begun: EarlierAttempts) -> bool:
    """Whether a run is retried that had pushed its change, and failed before its pull request.

    That the branch is the session's was looked at by preflight. A lost worker may not have noted its push.
    """
    hold, start = context.attempt.hold, result_sandbox.start
    is_same = head == start.sha == begun.start_sha
    retried = hold.run.retry_of is not None
    opened = hold.session.pull_request
    unproposed = opened is None or opened.state in {"merged", "closed"}  # it was another head's
    return is_same and retried and head != start.target_sha and unproposed


async def _pushed(context: Context, head: str) -> Published:
    if context.attempt.session.pushed_sha != head:
        await context.attempt.record_push(head)
    return Published(message=_pushed_sentence(context, head), changed=True, head_sha=head, pushed=True)


def _pushed_sentence(context: Context, head: str) -> str:
    return f"Pushed {head[:12]} to {context.attempt.session.branch}."


def _dry_run_sentence(context: Context) -> str:
    """Of a dry run."""
    kept = context.attempt.stored_work
    if kept is None:
        return "Nothing was pushed, and the change could not be kept."
    kind = ArtifactKind.PATCH if ArtifactKind.PATCH in kept.kinds else kept.kinds[0]
    return f"The change is kept as a {kind}; nothing was pushed."
