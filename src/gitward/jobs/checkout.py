"""Brings the repository into the workspace and stands on the session's branch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from gitward.errors import Reason, RunFailure
from gitward.jobs.attempt import Attempt
from gitward.jobs.commands import CHECKOUT_DIR, REMOVE_LOCKS, SAFE_GIT, Commands
from gitward.sandboxes import WORK_DIR
from gitward.sessions.model import StepName

_OBJECT = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64}) commit\Z")


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where the run stands before its command."""

    sha: str  # of the session branch
    target_sha: str  # of the target branch, upstream


async def check_out(attempt: Attempt, commands: Commands, facts: dict[str, Any]) -> Start:
    """Clones, or reuses the clone of an earlier run; then makes or continues the session's branch.

    The branch continues where it was last pushed, else it begins at the target branch.

    :raises RunFailure: `clone_failed`, `branch_not_found`.
    """
    url = f"{attempt.parts.settings.server_url}/{facts['repository']}.git"
    branch, target = attempt.claim.session.branch, facts["target_branch"]
    fresh = attempt.claim.run.number == 1 and attempt.claim.first_attempt
    if fresh:
        await _clone(commands, url, target)
    elif not await _refresh(commands, url):
        await _empty(commands)
        await _clone(commands, url, target)
    names = (f"refs/remotes/origin/{target}", f"refs/remotes/origin/{branch}")
    target_sha, pushed_sha = await resolve(commands, *names)
    if target_sha is None:
        raise RunFailure(Reason.BRANCH_NOT_FOUND, f"{facts['repository']} has no branch {target} any more.")
    sha = pushed_sha or target_sha
    switch = [*SAFE_GIT, "checkout", "--quiet", "--force", "--no-track", "-B", branch, sha, "--"]
    ended = await commands.run(StepName.CHECKOUT, switch)
    if ended.exit_code != 0:
        raise RunFailure(Reason.CLONE_FAILED, f"git could not check out {branch}: {ended.tail}")
    commands.checked_out = True
    return Start(sha=sha, target_sha=target_sha)


async def _empty(commands: Commands) -> None:
    emptied = await commands.run(StepName.CHECKOUT, ["rm", "-rf", "--", CHECKOUT_DIR], cwd=WORK_DIR)
    if emptied.exit_code != 0:
        raise RunFailure(Reason.CLONE_FAILED, f"The workspace could not be emptied: {emptied.tail}")


async def _clone(commands: Commands, url: str, target: str) -> None:
    clone = [*SAFE_GIT, "clone", "--quiet", "--no-checkout", f"--branch={target}", "--", url, CHECKOUT_DIR]
    ended = await commands.run(StepName.CHECKOUT, clone, cwd=WORK_DIR)
    if ended.exit_code != 0:
        raise RunFailure(Reason.CLONE_FAILED, f"git clone failed (exit {ended.exit_code}): {ended.tail}")


async def _refresh(commands: Commands, url: str) -> bool:
    """Whether the clone of an earlier run could be brought up to date; whatever is wrong with it, a new one is made."""
    there = await commands.run(StepName.CHECKOUT, ["test", "-d", f"{CHECKOUT_DIR}/.git"], cwd=WORK_DIR)
    if there.exit_code != 0:
        return False
    for argv in (
        REMOVE_LOCKS,
        [*SAFE_GIT, "remote", "set-url", "origin", "--", url],
        [*SAFE_GIT, "fetch", "--quiet", "--prune", "--no-tags", "--", "origin", "+refs/heads/*:refs/remotes/origin/*"],
        [*SAFE_GIT, "reset", "--quiet", "--hard"],
        [*SAFE_GIT, "clean", "--quiet", "-ffdx"],
    ):
        if (await commands.run(StepName.CHECKOUT, argv)).exit_code != 0:
            return False
    return True


async def resolve(commands: Commands, *names: str) -> tuple[str | None, ...]:
    """The commits that full ref names (or HEAD) stand for; None for a name that is not there.

    The answer comes out of a sandbox and is checked for its form.
    """
    argv = [*SAFE_GIT, "cat-file", "--batch-check=%(objectname) %(objecttype)"]
    asked = "".join(f"{name}^{{commit}}\n" for name in names)
    ended = await commands.capture(argv, limit=4096, stdin=asked.encode())
    lines = ended.output.decode("utf-8", "replace").splitlines() if ended.exit_code == 0 else []
    found = [_OBJECT.match(line) for line in lines]
    if len(found) != len(names):
        return tuple(None for _ in names)
    return tuple(match[1] if match else None for match in found)
