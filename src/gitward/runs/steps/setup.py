"""Step `setup`: makes the checkout ready for the instruction, in its environment and with its folders, without keys.

What it leaves in the tree is no part of the work, unless the instruction changes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from gitward.errors import Reason, RunFailure
from gitward.repositories import baseline, git_folder, setup_files
from gitward.repositories.checkout import REPO
from gitward.repositories.foreign_folder import Damaged
from gitward.repositories.git import CommandResult, GitFailed
from gitward.repositories.start_point import StartPoint
from gitward.runs.commands import disk_full
from gitward.runs.commands.caches import CACHES, OF_SETUP
from gitward.runs.commands.deadline import timed_out
from gitward.runs.commands.runner import CommandRunner
from gitward.runs.context import Context
from gitward.runs.publishing.result_sandbox import open_result_sandbox
from gitward.sandboxes import User
from gitward.sessions.model import StepName

FILE = ".gitward/setup"  # of the repository
_BASH = ("/bin/bash", "-eo", "pipefail")  # what fails in the middle, or in a pipe, is no setup that ended well
_FILE = (*_BASH, "-c", f"if [ -x {FILE} ]; then exec ./{FILE}; else exec {' '.join(_BASH)} {FILE}; fi")
_LOCAL = ("refs/heads/", "refs/stash")


async def set_up(context: Context, commands: CommandRunner, user: User, start: StartPoint) -> bool:
    """Whether there was a setup, which ended well.

    :raises RunFailure: `setup_failed`, `timed_out`, or `sandbox_failed` when it hit a limit of the sandbox.
    """
    argv = await _command(context, commands)
    if argv is None:
        return False
    async with context.attempt.step(StepName.SETUP):
        before = await _refs(context)
        grant = context.access.grant
        await grant.hold_back(True)
        try:
            running = _run(context, commands, argv)
            ended = await context.attempt.services.disk.execute(context.workspace, running, name="setup")
        finally:
            await grant.hold_back(False)
        if ended.exit_code != 0:
            message = f"The setup ended with exit code {ended.exit_code}; its output says why."
            raise disk_full.named(RunFailure(Reason.SETUP_FAILED, message), ended)
        _refuse_commits(before, await _refs(context))
        await _note_files(context, user, start)
    return True


async def _command(context: Context, commands: CommandRunner) -> Sequence[str] | None:
    instruction = context.instruction
    wanted = instruction.setup
    if isinstance(wanted, str):
        return (*_BASH, "-c", wanted)
    if wanted is False or (wanted is None and instruction.prompt is None):
        return None
    with commands.in_series():
        there = await commands.capture(["test", "-f", FILE], limit=4096)
    if there.exit_code == 0:
        return _FILE
    if wanted is None:
        return None
    raise RunFailure(Reason.SETUP_FAILED, f"The branch has no {FILE}, which the run asks for.")


async def _run(context: Context, commands: CommandRunner, argv: Sequence[str]) -> CommandResult:
    seconds = context.attempt.services.settings.setup_seconds
    own = commands.seconds_left > seconds
    env = {**CACHES, **OF_SETUP, **context.instruction.env}
    try:
        with commands.within(StepName.SETUP, {StepName.SETUP: seconds}):
            return await commands.run(StepName.SETUP, argv, env=env, in_image=True)
    except RunFailure as failure:
        if failure.reason is Reason.TIMED_OUT and own:
            message = f"{timed_out(seconds, StepName.SETUP).message} It is set by GITWARD_SETUP_SECONDS."
            raise RunFailure(Reason.SETUP_FAILED, message) from None
        raise


async def _refs(context: Context) -> Mapping[str, str]:
    """What stands for local work in the checkout's .git: HEAD, branches, stash."""
    try:
        folder = await asyncio.to_thread(git_folder.read, context.workspace / "work", f"{REPO}/.git")
    except Damaged as damage:
        raise RunFailure(Reason.SETUP_FAILED, f"The setup left a .git that cannot be read: {damage}.") from None
    if folder is None:
        raise RunFailure(Reason.SETUP_FAILED, "The setup removed the checkout's .git.")
    refs = {name: oid for name, oid in folder.refs.items() if name.startswith(_LOCAL)}
    operation = {"operation": folder.operation} if folder.operation else {}
    return {**refs, **operation, "HEAD": f"{folder.head_ref} {folder.head}"}


def _refuse_commits(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    if before != after:
        names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
        shown = ", ".join("".join(each if each.isprintable() else "?" for each in name)[:100] for name in names[:5])
        raise RunFailure(
            Reason.SETUP_FAILED,
            f"The setup moved {shown} of the checkout. A setup makes files ready; commits and branches are for the "
            "instruction.",
        )


async def _note_files(context: Context, user: User, start: StartPoint) -> None:
    """What the setup left in the tree is compared with at the end."""
    try:
        async with open_result_sandbox(context, start, user, offline=True) as result_sandbox:
            found = await setup_files.find(result_sandbox.result, start.sha)
    except GitFailed as failure:
        message = f"git cannot tell what the setup changed: {failure}"
        raise RunFailure(Reason.SETUP_FAILED, message) from failure
    await asyncio.to_thread(baseline.note_setup_files, context.workspace, found)
