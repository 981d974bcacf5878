"""Commits what is uncommitted, keeps diff and patch, and pushes the session's branch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from gitward.errors import Reason, RunFailure
from gitward.jobs.attempt import Attempt
from gitward.jobs.checkout import Start, resolve
from gitward.jobs.commands import REMOVE_LOCKS, SAFE_GIT, Commands, OutputTooLong
from gitward.sessions import artifacts
from gitward.sessions.model import ArtifactKind, PublishMode, Run, Session, StepName

_DIFF = ("--no-color", "--no-ext-diff", "--no-textconv", "--binary", "--full-index")


@dataclass(frozen=True, kw_only=True)
class Published:
    """What became of the change."""

    message: str
    changed: bool
    head_sha: str
    pushed: bool = False


async def publish(attempt: Attempt, commands: Commands, facts: dict[str, Any], start: Start) -> Published:
    """:raises RunFailure: `push_rejected`, `branch_protected`."""
    head, pushed = await _commit(attempt, commands, facts)
    if head == start.sha:
        return Published(message="The command changed nothing.", changed=False, head_sha=head)
    if attempt.claim.run.instruction.publish.mode is PublishMode.DRY_RUN:
        await _keep(attempt, commands, start.target_sha)
        return Published(message="The change is kept as a patch; nothing was pushed.", changed=True, head_sha=head)
    await _all(_push(attempt, commands, head, expected=pushed), _keep(attempt, commands, start.target_sha))
    message = f"Pushed {head[:12]} to {attempt.claim.session.branch}."
    return Published(message=message, changed=True, head_sha=head, pushed=True)


async def _all(*works: Awaitable[None]) -> None:
    """Both at the same time, each to its end whatever becomes of the other; then the first failure is raised."""
    for result in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


async def keep_work(attempt: Attempt, commands: Commands, facts: dict[str, Any]) -> None:
    """Keeps the work of a run that did not come to its end."""
    [target_sha] = await resolve(commands, f"refs/remotes/origin/{facts['target_branch']}")
    head, _ = await _commit(attempt, commands, facts)
    if target_sha is not None and head != target_sha:
        await _keep(attempt, commands, target_sha)


async def _commit(attempt: Attempt, commands: Commands, facts: dict[str, Any]) -> tuple[str, str | None]:
    """Commits everything that is not ignored; the head, and where the session's branch stands upstream."""
    run, session, settings = attempt.claim.run, attempt.claim.session, attempt.parts.settings
    unlocked = await commands.run(StepName.PUBLISH, REMOVE_LOCKS)
    if unlocked.exit_code != 0:
        raise RunFailure(Reason.TASK_FAILED, f"git's locks could not be removed: {unlocked.tail}")
    added = await commands.run(StepName.PUBLISH, [*SAFE_GIT, "add", "--all"])
    if added.exit_code != 0:
        raise RunFailure(Reason.TASK_FAILED, f"git add failed, is the checkout still whole? {added.tail}")
    staged = await commands.run(StepName.PUBLISH, [*SAFE_GIT, "diff", "--cached", "--quiet", "--no-ext-diff"])
    if staged.exit_code not in (0, 1):
        raise RunFailure(Reason.TASK_FAILED, f"git diff failed, is the checkout still whole? {staged.tail}")
    if staged.exit_code == 1:
        identity = (
            *("-c", f"user.name={settings.commit_name or facts['identity']['name']}"),
            *("-c", f"user.email={settings.commit_email or facts['identity']['email']}"),
            *("-c", "commit.gpgSign=false"),
        )
        argv = [*SAFE_GIT, *identity, "commit", "--quiet", "--no-verify", "--file=-"]
        ended = await commands.run(StepName.PUBLISH, argv, stdin=commit_message(session, run).encode())
        if ended.exit_code != 0:
            raise RunFailure(Reason.TASK_FAILED, f"git commit failed: {ended.tail}")
    head, pushed = await resolve(commands, "HEAD", f"refs/remotes/origin/{session.branch}")
    if head is None:
        raise RunFailure(Reason.TASK_FAILED, "The checkout has no commit any more.")
    return head, pushed


def commit_message(session: Session, run: Run) -> str:
    """The instruction's own message, or what ran."""
    text = run.instruction.commit_message or session.title
    return f"{text.strip()}\n\nGitward-Session: {session.id}\n"


async def _keep(attempt: Attempt, commands: Commands, target_sha: str) -> None:
    """Stores what the branch changed against the target: as a diff to read, and as a mailbox for `git am`."""
    kept: list[tuple[ArtifactKind, bytes]] = []
    for kind, argv in (
        (ArtifactKind.DIFF, [*SAFE_GIT, "diff", *_DIFF, f"{target_sha}...HEAD", "--"]),
        (ArtifactKind.PATCH, [*SAFE_GIT, "format-patch", "--stdout", *_DIFF, f"{target_sha}..HEAD", "--"]),
    ):
        try:
            ended = await commands.capture(argv, limit=artifacts.MAX_BYTES)
        except OutputTooLong:
            await attempt.notice(f"The {kind} is longer than {artifacts.MAX_BYTES // 2**20} MiB and is not kept.")
            continue
        if ended.exit_code != 0:
            raise RunFailure(Reason.TASK_FAILED, f"git could not make the {kind}: {ended.tail}")
        kept.append((kind, ended.output))
    async with attempt.parts.database.transaction() as tx:
        await attempt.parts.progress.guard(tx, attempt.claim)
        for kind, content in kept:
            await artifacts.keep(tx, attempt.claim.run.id, kind, content)
    commands.kept = True


async def _push(attempt: Attempt, commands: Commands, head: str, *, expected: str | None) -> None:
    """Pushes, unless somebody else moved the branch meanwhile."""
    branch = attempt.claim.session.branch
    lease = f"--force-with-lease=refs/heads/{branch}:{expected or ''}"
    argv = [*SAFE_GIT, "push", "--quiet", "--no-verify", lease, "--", "origin", f"HEAD:refs/heads/{branch}"]
    ended = await commands.run(StepName.PUBLISH, argv)
    if ended.exit_code != 0:
        protected = "protected branch" in ended.tail.lower() or "GH006" in ended.tail
        reason = Reason.BRANCH_PROTECTED if protected else Reason.PUSH_REJECTED
        message = f"git push failed; the work is kept as a patch. {ended.tail}"
        raise RunFailure(reason, message, exit_code=0, head_sha=head)
    await attempt.write(lambda tx: attempt.parts.progress.learned(tx, attempt.claim, pushed_sha=head))
