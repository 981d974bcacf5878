"""Pushes the session's branch from the result, and knows from the broker whether GitHub took it."""

from __future__ import annotations

import logging

from gitward.errors import Reason, RunFailure
from gitward.github.branches import head_of
from gitward.github.push_refusals import find_refusal
from gitward.grants import closing_keywords
from gitward.grants.inspection import BadPack
from gitward.repositories.closing_commits import closes_elsewhere
from gitward.repositories.git import CommandResult
from gitward.repositories.work import Work
from gitward.repositories.workflows import changed_workflows, may_change_workflows
from gitward.runs.attempt import Attempt
from gitward.runs.commands.github_calls import request, step_retries
from gitward.runs.commands.retrying import LIMITED, fault_in, run_with_retries, was_refused
from gitward.runs.context import Context
from gitward.runs.publishing import lfs_upload
from gitward.runs.publishing.commit_message import commit_message
from gitward.runs.publishing.result_sandbox import ResultSandbox, narrow_to
from gitward.sessions.model import EventType, StepName

log = logging.getLogger(__name__)

WITNESS_SECONDS = 5.0  # for the broker's word, when git says that the push is done
WORKFLOWS = "this session may not change .github/workflows/{files}; a session with allow_workflows=true may"

CLOSING = (
    "a commit's message closes an issue of another repository: {reference}; write it without that "
    "(GITWARD_WRITES=repository allows more)"
)


class PrivateAddress(RunFailure):
    """GitHub refused the push for the e-mail address of a commit; with another one it would take it."""


async def push(context: Context, result_sandbox: ResultSandbox, work: Work) -> None:
    """Pushes the work's head, unless somebody else moved the branch meanwhile.

    After a fault only if the first push did not arrive.

    :raises RunFailure: `push_rejected`, `branch_protected`: refused; PrivateAddress too. Any other reason: it did not
        arrive.
    """
    attempt, head = context.attempt, work.head
    await _check_workflows(context, result_sandbox, work)
    await _check_closings(context, result_sandbox, work)
    objects = await lfs_upload.find(context, result_sandbox, [head])
    await lfs_upload.store(context, objects)
    exact = await narrow_to(context, result_sandbox.start, head=head, lfs_oids=lfs_upload.names(objects, head))
    await lfs_upload.upload(context, result_sandbox, head, objects)
    await attempt.write(lambda tx: attempt.services.progress.record_push_intent(tx, attempt.hold, head))
    attempt.pushing_sha = head

    async def once(again: bool) -> CommandResult:
        if again and await is_upstream(attempt, head):
            return CommandResult(exit_code=0)
        return await _git_push(result_sandbox, context, head, expected=exact.old)

    try:
        await run_with_retries(
            attempt, result_sandbox.commands, StepName.PUBLISH, once, failed=lambda ended: _failed(ended, head)
        )
    except RunFailure as failure:
        if failure.head_sha is None or not await find_pushed(attempt, context.access.pushes.last):
            raise
        return
    if not await context.access.pushes.accepted(head, seconds=WITNESS_SECONDS) and not await is_upstream(attempt, head):
        message = f"git says that {head[:12]} was pushed, but GitHub does not have it; retry."
        raise RunFailure(Reason.INTERNAL, message, exit_code=0, head_sha=head)
    await lfs_upload.forget(context, objects)
    await _record(attempt, head)


async def _git_push(result_sandbox: ResultSandbox, context: Context, head: str, *, expected: str) -> CommandResult:
    ref = f"refs/heads/{context.attempt.session.branch}"
    lease = f"--force-with-lease={ref}:{'' if set(expected) == {'0'} else expected}"
    argv = ("push", "--quiet", "--no-verify", "--no-follow-tags", lease, "--", context.url, f"{head}:{ref}")
    git = result_sandbox.result.bare
    return await result_sandbox.commands.run(StepName.PUBLISH, git.argv(*argv), cwd="/", env=git.environment())


async def _check_workflows(context: Context, result_sandbox: ResultSandbox, work: Work) -> None:
    """What is upstream already, on the target or on the session's branch, may be pushed."""
    if context.attempt.services.settings.may_change_workflows(context.attempt.session):
        return
    if work.paths is not None and not any(map(may_change_workflows, work.paths)):
        return  # the start is upstream, and the rest of the tree is the start's
    start, head = result_sandbox.start, work.head
    upstream = [oid for oid in (start.target_sha, context.access.pushes.last, start.branch_sha) if oid is not None]
    files = await changed_workflows(result_sandbox.result, head, upstream)
    if files is not None:  # the target may have got new ones meanwhile, and the command may have merged them
        now = await target_now(context.attempt)
        if now is not None and await result_sandbox.result.has(now):
            files = await changed_workflows(result_sandbox.result, head, [*upstream, now])
    if files is not None:
        await _refuse_workflows(context.attempt, files, head)


async def _check_closings(context: Context, result_sandbox: ResultSandbox, work: Work) -> None:
    """What the broker asks of a command's push: the messages close no issue of another repository."""
    if not context.attempt.services.settings.own_writes:
        return
    try:
        reference = await _closing(context, result_sandbox, work)
    except BadPack as error:
        raise await _refused(context.attempt, "git.push.pack", str(error), work.head) from error
    if reference is not None:
        why = CLOSING.format(reference=reference)
        raise await _refused(context.attempt, "git.push.closing", why, work.head)


async def _closing(context: Context, result_sandbox: ResultSandbox, work: Work) -> str | None:
    repository, hold, start = context.facts.repository, context.attempt.hold, result_sandbox.start
    if work.paths is not None:  # one commit, with a message of ours
        return closing_keywords.closes_elsewhere(commit_message(hold.session, hold.run), repository)
    upstream = [oid for oid in (start.target_sha, context.access.pushes.last, start.branch_sha) if oid is not None]
    return await closes_elsewhere(result_sandbox.result, work.head, upstream, repository=repository)


async def _refuse_workflows(attempt: Attempt, files: str, head: str) -> None:
    raise await _refused(attempt, "git.push.workflows", WORKFLOWS.format(files=f" ({files})" if files else ""), head)


async def _refused(attempt: Attempt, rule: str, why: str, head: str) -> RunFailure:
    told = {"rule": rule, "message": f"push refs/heads/{attempt.session.branch}: {why}"}
    await attempt.record((EventType.POLICY_DENIED, told))
    return RunFailure(Reason.PUSH_REJECTED, f"The push was refused ({why}).", exit_code=0, head_sha=head)


def _failed(ended: CommandResult, head: str) -> RunFailure:
    """In GitHub's own words, when it refused the push; else it failed on its way, and nobody rejected it."""
    refusal = find_refusal(ended.complaint)
    if refusal is not None:
        kind = PrivateAddress if refusal.private_email else RunFailure
        return kind(refusal.reason, refusal.message, exit_code=0, head_sha=head)
    if was_refused(ended.tail):
        reason, message = Reason.PUSH_REJECTED, f"GitHub refused the push: {ended.tail}"
    elif (cause := fault_in(ended.tail)) is not None:
        reason = Reason.RATE_LIMITED if cause == LIMITED else Reason.INTERNAL
        message = f"The push did not arrive: {cause} ({ended.tail}); retry when GitHub works again."
    else:
        reason, message = Reason.INTERNAL, f"git could not push: {ended.tail}"
    return RunFailure(reason, message if message.endswith(".") else f"{message}.", exit_code=0, head_sha=head)


async def _record(attempt: Attempt, head: str) -> None:
    await attempt.record_push(head)
    attempt.pushed_sha = head


async def find_pushed(attempt: Attempt, seen: str | None) -> str | None:
    """After a push that was cut off: its head, when GitHub has it, which is recorded."""
    head = attempt.pushing_sha
    if head is None or attempt.pushed_sha == head:
        return head
    if seen != head and not await is_upstream(attempt, head):
        return None
    await _record(attempt, head)
    return head


async def is_upstream(attempt: Attempt, head: str) -> bool:
    """Whether the session's branch stands there, by GitHub's own word."""
    session = attempt.session
    retries = step_retries(attempt, StepName.PUBLISH, limited_seconds=0)
    found = await request(
        attempt, retries, lambda github: head_of(github, session.repo, session.branch), level=logging.DEBUG
    )
    return found == head


async def target_now(attempt: Attempt) -> str | None:
    """Where the target branch stands at GitHub."""
    session = attempt.session
    if session.target_branch is None:
        return None
    target = session.target_branch
    retries = step_retries(attempt, StepName.PUBLISH, limited_seconds=0)
    return await request(attempt, retries, lambda github: head_of(github, session.repo, target), level=logging.DEBUG)
