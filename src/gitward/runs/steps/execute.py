"""Runs the instruction's command inside the checkout."""

from __future__ import annotations

from gitward.errors import Reason, RunFailure
from gitward.runs.commands.caches import AFTER_SETUP, CACHES
from gitward.runs.commands.runner import CommandRunner
from gitward.sessions.model import Instruction, StepName


async def execute(commands: CommandRunner, instruction: Instruction, *, has_setup: bool) -> int:
    """The command's exit code, which is 0.

    :raises RunFailure: `task_failed` with the exit code, `timed_out`.
    """
    assert instruction.command is not None
    argv = ["/bin/bash", "-c", instruction.command]
    env = {**CACHES, **(AFTER_SETUP if has_setup else {}), **instruction.env}
    ended = await commands.run(StepName.EXECUTE, argv, env=env, in_image=True, last=True)
    if ended.exit_code != 0:
        signal = f" (signal {ended.exit_code - 128})" if ended.exit_code > 128 else ""
        raise RunFailure(
            Reason.TASK_FAILED,
            f"The command ended with exit code {ended.exit_code}{signal}; its output says why.",
            exit_code=ended.exit_code,
        )
    return ended.exit_code
