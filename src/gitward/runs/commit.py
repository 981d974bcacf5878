"""Commits what a run's command left uncommitted, also in a checkout that is not whole any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gitward.errors import Reason, RunFailure
from gitward.runs.attempt import Attempt
from gitward.runs.checkout import resolve
from gitward.runs.commands import REMOVE_LOCKS, SAFE_GIT, Commands, Ended
from gitward.sessions.model import Run, Session, StepName


@dataclass(frozen=True, kw_only=True)
class Committed:
    """Where the checkout stands with everything committed."""

    head: str
    pushed: str | None  # where the session's branch stands upstream, as far as the checkout knows
    complete: bool = True  # False: some files could not be read


async def commit(attempt: Attempt, commands: Commands, facts: dict[str, Any], *, lenient: bool = False) -> Committed:
    """Commits everything that is not ignored.

    :param lenient: leaves out what cannot be read, instead of failing.
    :raises RunFailure: `task_failed`: git cannot work with the checkout.
    """
    unlocked = await commands.run(StepName.PUBLISH, REMOVE_LOCKS)
    if unlocked.exit_code != 0:
        raise RunFailure(Reason.TASK_FAILED, f"git's locks could not be removed: {unlocked.tail}")
    complete = await _add(commands, lenient=lenient)
    staged = await commands.run(StepName.PUBLISH, [*SAFE_GIT, "diff", "--cached", "--quiet", "--no-ext-diff"])
    if staged.exit_code not in (0, 1):
        raise RunFailure(Reason.TASK_FAILED, f"git diff failed, is the checkout still whole? {staged.tail}")
    if staged.exit_code == 1:
        await _commit(attempt, commands, facts)
    head, pushed = await resolve(commands, "HEAD", f"refs/remotes/origin/{attempt.claim.session.branch}")
    if head is None:
        raise RunFailure(Reason.TASK_FAILED, "The checkout has no commit any more.")
    return Committed(head=head, pushed=pushed, complete=complete)


async def _add(commands: Commands, *, lenient: bool) -> bool:
    """Stages everything, by a fresh index when the present one is broken. Whether nothing was left out."""
    added = await _add_all(commands, lenient=lenient)
    if added.exit_code == 0:
        return True
    # The index may be cut short or overwritten. A new one is made of the last commit.
    removed = await commands.run(StepName.PUBLISH, ["rm", "-f", "--", ".git/index"])
    if removed.exit_code == 0:
        renewed = await commands.run(StepName.PUBLISH, [*SAFE_GIT, "read-tree", "HEAD"])
        if renewed.exit_code == 0:
            added = await _add_all(commands, lenient=lenient)
    if added.exit_code != 0 and not lenient:
        raise RunFailure(Reason.TASK_FAILED, f"git add failed, is the checkout still whole? {added.tail}")
    return added.exit_code == 0


async def _add_all(commands: Commands, *, lenient: bool) -> Ended:
    return await commands.run(StepName.PUBLISH, [*SAFE_GIT, "add", "--all", *(["--ignore-errors"] if lenient else [])])


async def _commit(attempt: Attempt, commands: Commands, facts: dict[str, Any]) -> None:
    settings = attempt.parts.settings
    identity = (
        *("-c", f"user.name={settings.commit_name or facts['identity']['name']}"),
        *("-c", f"user.email={settings.commit_email or facts['identity']['email']}"),
        *("-c", "commit.gpgSign=false"),
    )
    argv = [*SAFE_GIT, *identity, "commit", "--quiet", "--no-verify", "--file=-"]
    message = commit_message(attempt.claim.session, attempt.claim.run)
    ended = await commands.run(StepName.PUBLISH, argv, stdin=message.encode())
    if ended.exit_code != 0:
        raise RunFailure(Reason.TASK_FAILED, f"git commit failed: {ended.tail}")


def commit_message(session: Session, run: Run) -> str:
    """The instruction's own message, or what ran."""
    text = run.instruction.commit_message or session.title
    return f"{text.strip()}\n\nGitward-Session: {session.id}\n"
