"""Runs the instruction's command inside the checkout."""

from __future__ import annotations

from gitward.errors import Reason, RunFailure
from gitward.repositories.checkout import CACHE_DIR
from gitward.runs.commands import Commands
from gitward.sessions.model import Instruction, StepName

# Where tools keep what they downloaded, for the session's next run: single caches, and no tool's whole home.
CACHES = {
    "XDG_CACHE_HOME": f"{CACHE_DIR}/xdg",
    "PIP_CACHE_DIR": f"{CACHE_DIR}/pip",
    "npm_config_cache": f"{CACHE_DIR}/npm",
    "GOCACHE": f"{CACHE_DIR}/go-build",
}


async def execute(commands: Commands, instruction: Instruction) -> int:
    """The command's exit code, which is 0.

    :raises RunFailure: `task_failed` with the exit code, `timed_out`.
    """
    assert instruction.command is not None
    argv = ["/bin/bash", "-c", instruction.command]
    ended = await commands.run(StepName.EXECUTE, argv, env={**CACHES, **instruction.env}, last=True)
    if ended.exit_code != 0:
        signal = f" (signal {ended.exit_code - 128})" if ended.exit_code > 128 else ""
        raise RunFailure(
            Reason.TASK_FAILED,
            f"The command ended with exit code {ended.exit_code}{signal}; its output tells why.",
            exit_code=ended.exit_code,
        )
    return ended.exit_code
