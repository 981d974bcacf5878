"""Brings the repository into the workspace and stands on the session's branch."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gitward.errors import Reason, RunFailure
from gitward.runs.attempt import Attempt
from gitward.runs.commands import CHECKOUT_DIR, REMOVE_LOCKS, SAFE_GIT, Commands, Ended
from gitward.runs.reaching import fault_in, reach
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
        await _clone(attempt, commands, url, target)
    elif not await _refresh(attempt, commands, url):
        await _empty(commands)
        await _clone(attempt, commands, url, target)
    names = (f"refs/remotes/origin/{target}", f"refs/remotes/origin/{branch}")
    target_sha, pushed_sha = await resolve(commands, *names)
    if target_sha is None:
        raise RunFailure(Reason.BRANCH_NOT_FOUND, f"{facts['repository']} has no branch {target} any more.")
    sha = pushed_sha or target_sha
    switch = [*SAFE_GIT, "checkout", "--quiet", "--force", "--no-track", "-B", branch, sha, "--"]  # fetches LFS objects
    await _reach(attempt, commands, switch, f"git could not check out {branch}")
    commands.checked_out = True
    return Start(sha=sha, target_sha=target_sha)


async def _empty(commands: Commands) -> None:
    emptied = await commands.run(StepName.CHECKOUT, ["rm", "-rf", "--", CHECKOUT_DIR], cwd=WORK_DIR)
    if emptied.exit_code != 0:
        raise RunFailure(Reason.CLONE_FAILED, f"The workspace could not be emptied: {emptied.tail}")


async def _clone(attempt: Attempt, commands: Commands, url: str, target: str) -> None:
    argv = [*SAFE_GIT, "clone", "--quiet", "--no-checkout", f"--branch={target}", "--", url, CHECKOUT_DIR]

    async def clone(again: bool) -> Ended:
        if again:
            await _empty(commands)
        return await commands.run(StepName.CHECKOUT, argv, cwd=WORK_DIR)

    await reach(attempt, commands, StepName.CHECKOUT, clone, failed=_failed("git clone failed"))


async def _reach(attempt: Attempt, commands: Commands, argv: Sequence[str], what: str) -> None:
    async def call(_again: bool) -> Ended:
        return await commands.run(StepName.CHECKOUT, argv)

    await reach(attempt, commands, StepName.CHECKOUT, call, failed=_failed(what))


def _failed(what: str) -> Callable[[Ended], RunFailure]:
    return lambda ended: RunFailure(Reason.CLONE_FAILED, f"{what} (exit {ended.exit_code}): {ended.tail}")


async def _refresh(attempt: Attempt, commands: Commands, url: str) -> bool:
    """Whether the clone of an earlier run could be brought up to date; whatever is wrong with it, a new one is made.

    :raises RunFailure: what is wrong is GitHub, or the token.
    """
    there = await commands.run(StepName.CHECKOUT, ["test", "-d", f"{CHECKOUT_DIR}/.git"], cwd=WORK_DIR)
    if there.exit_code != 0:
        return False
    heads = "+refs/heads/*:refs/remotes/origin/*"
    fetch = [*SAFE_GIT, "fetch", "--quiet", "--prune", "--no-tags", "--", "origin", heads]
    if not await _all_well(commands, REMOVE_LOCKS, [*SAFE_GIT, "remote", "set-url", "origin", "--", url]):
        return False
    try:
        await _reach(attempt, commands, fetch, "git fetch failed")
    except RunFailure as failure:
        if failure.reason is not Reason.CLONE_FAILED or fault_in(failure.message) is not None:
            raise
        return False
    return await _all_well(
        commands, [*SAFE_GIT, "reset", "--quiet", "--hard"], [*SAFE_GIT, "clean", "--quiet", "-ffdx"]
    )


async def _all_well(commands: Commands, *argvs: Sequence[str]) -> bool:
    for argv in argvs:
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
