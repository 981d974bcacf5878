"""Step `publish`: commits what is uncommitted, keeps the work, and pushes the session's branch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from gitward.errors import Reason, RunFailure
from gitward.runs.attempt import Attempt
from gitward.runs.checkout import Start
from gitward.runs.commands import SAFE_GIT, Commands, Ended
from gitward.runs.commit import commit
from gitward.runs.keeping import Work, keep
from gitward.runs.reaching import reach
from gitward.sessions.model import PublishMode, StepName
from gitward.sessions.progress import Begun


@dataclass(frozen=True, kw_only=True)
class Published:
    """What became of the change."""

    message: str
    changed: bool
    head_sha: str
    pushed: bool = False


async def find_arrived(commands: Commands, start: Start, begun: Begun) -> str | None:
    """The head that an earlier attempt pushed, when it is in the session's branch upstream."""
    head = begun.pushing_sha
    if head is None or start.sha == begun.start_sha:
        return None
    if head == start.sha:
        return head
    asked = [*SAFE_GIT, "merge-base", "--is-ancestor", head, start.sha]  # somebody may have pushed upon it
    return head if (await commands.capture(asked, limit=4096)).exit_code == 0 else None


async def finish(attempt: Attempt, commands: Commands, start: Start, head: str) -> Published:
    """What was left to do when an earlier attempt was lost after its push."""
    if attempt.claim.session.pushed_sha != head:
        await _pushed(attempt, commands, head)
    await keep(attempt, commands, Work(origin=attempt.origin, base=start.target_sha, head=head))
    return Published(message=_told(attempt, head), changed=True, head_sha=head, pushed=True)


async def publish(attempt: Attempt, commands: Commands, facts: dict[str, Any], start: Start, begun: Begun) -> Published:
    """:raises RunFailure: `push_rejected`, `branch_protected`."""
    committed = await commit(attempt, commands, facts)
    head = committed.head
    if head == start.sha == begun.start_sha:
        if _is_unproposed(attempt, head, start):
            if attempt.claim.session.pushed_sha != head:
                await _pushed(attempt, commands, head)
            message = f"The command changed nothing more; {head[:12]} is on {attempt.claim.session.branch} already."
            return Published(message=message, changed=True, head_sha=head, pushed=True)
        return Published(message="The command changed nothing.", changed=False, head_sha=head)
    work = Work(origin=attempt.origin, head=head, base=start.target_sha)
    if attempt.claim.run.instruction.publish.mode is PublishMode.DRY_RUN:
        await keep(attempt, commands, work)
        return Published(message="The change is kept as a patch; nothing was pushed.", changed=True, head_sha=head)
    await _all(_push(attempt, commands, head, expected=committed.pushed), keep(attempt, commands, work))
    return Published(message=_told(attempt, head), changed=True, head_sha=head, pushed=True)


def _told(attempt: Attempt, head: str) -> str:
    return f"Pushed {head[:12]} to {attempt.claim.session.branch}."


def _is_unproposed(attempt: Attempt, head: str, start: Start) -> bool:
    """Whether a run is retried that had pushed its change, and failed before its pull request.

    That the branch is the session's was looked at by preflight. A lost worker may not have noted its push.
    """
    retried = attempt.claim.run.retry_of is not None
    return retried and head != start.target_sha and attempt.claim.session.pull_request is None


async def _all(*works: Awaitable[object]) -> None:
    """Both at the same time, each to its end whatever becomes of the other; then the first failure is raised."""
    for result in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


async def _push(attempt: Attempt, commands: Commands, head: str, *, expected: str | None) -> None:
    """Pushes, unless somebody else moved the branch meanwhile; after a fault only if the first push did not arrive."""
    branch = attempt.claim.session.branch
    lease = f"--force-with-lease=refs/heads/{branch}:{expected or ''}"
    argv = [*SAFE_GIT, "push", "--quiet", "--no-verify", lease, "--", "origin", f"HEAD:refs/heads/{branch}"]
    await attempt.write(lambda tx: attempt.parts.progress.pushing(tx, attempt.claim, head))
    attempt.pushing_sha = commands.pushing = head

    async def push(again: bool) -> Ended:
        if again:
            found = await _look_upstream(commands, branch)
            if found.exit_code != 0 or _stands_at(found, head):
                return found
        return await commands.run(StepName.PUBLISH, argv)

    def failed(ended: Ended) -> RunFailure:
        protected = "protected branch" in ended.tail.lower() or "GH006" in ended.tail
        reason = Reason.BRANCH_PROTECTED if protected else Reason.PUSH_REJECTED
        message = f"git push failed; the work is kept as a patch. {ended.tail}"
        return RunFailure(reason, message, exit_code=0, head_sha=head)

    try:
        await reach(attempt, commands, StepName.PUBLISH, push, failed=failed)
    except RunFailure as failure:
        if failure.head_sha is None:
            raise  # the time is over: whoever ends the run looks
        if await find_pushed(attempt, commands) is None:
            commands.pushing = None
            raise
    if commands.pushing is not None:
        await _pushed(attempt, commands, head)


async def _pushed(attempt: Attempt, commands: Commands, head: str) -> None:
    await attempt.write(lambda tx: attempt.parts.progress.pushed(tx, attempt.claim, head))
    commands.pushing = None


async def find_pushed(attempt: Attempt, commands: Commands) -> str | None:
    """After a push that was cut off: its head, when the session's branch stands there upstream, which is told."""
    head, branch = commands.pushing, attempt.claim.session.branch
    if head is None:
        return None
    found = await _look_upstream(commands, branch)
    if found.exit_code != 0 or not _stands_at(found, head):
        return None
    await _pushed(attempt, commands, head)
    return head


async def _look_upstream(commands: Commands, branch: str) -> Ended:
    asked = [*SAFE_GIT, "ls-remote", "--quiet", "--", "origin", f"refs/heads/{branch}"]
    return await commands.capture(asked, limit=4096)


def _stands_at(found: Ended, head: str) -> bool:
    return found.output.split(b"\t")[0] == head.encode()
