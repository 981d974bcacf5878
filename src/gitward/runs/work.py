"""Step `work`: one attempt in one sandbox. Every command of it runs inside, the token stays with the broker."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from gitward.errors import Reason, RunFailure
from gitward.runs import checkout, execute, leftover, login, publish, room
from gitward.runs.attempt import Attempt
from gitward.runs.checkpoints import RunCancelled
from gitward.runs.commands import Commands
from gitward.runs.opening import opened
from gitward.runs.output import OutputLog
from gitward.runs.parts import Parts
from gitward.runs.salvage import Salvage
from gitward.runs.supervision import supervise, timed_out
from gitward.sandboxes import SandboxError
from gitward.secrets import Secret
from gitward.sessions.model import Instruction, PublishMode, StepName


@dataclass(frozen=True, kw_only=True)
class Result:
    """What the sandbox lifetime came to."""

    message: str
    changed: bool = False
    head_sha: str | None = None
    exit_code: int | None = None
    wants_pull_request: bool = False


async def work(parts: Parts, run_id: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Authenticates, checks out, executes and publishes; returns `Result` as JSON."""
    attempt = await Attempt.begin(parts, run_id)
    instruction = attempt.claim.run.instruction
    seconds = float(parts.settings.time_limit(instruction.timeout_seconds))
    async with opened(attempt, facts, seconds=seconds) as here:
        output = OutputLog(attempt, here.redactor)
        commands = Commands(here.sandbox, output, deadline=time.monotonic() + seconds, seconds=seconds)
        salvage = Salvage(attempt, here.sandbox, output, facts)
        try:
            body = _phases(attempt, commands, facts, here.credential, salvage)
            return asdict(await supervise(attempt, body, seconds=seconds, late=timed_out(seconds)))
        except (RunCancelled, RunFailure) as end:
            await _rescue(salvage, attempt, commands, end)
            raise
        except SandboxError as error:  # it may quote what the command wrote
            failure = RunFailure(Reason.SANDBOX_FAILED, here.redactor.text(str(error)))
            await _rescue(salvage, attempt, commands, failure)
            raise failure from None
        finally:
            await output.finish()


async def _phases(
    attempt: Attempt, commands: Commands, facts: dict[str, Any], credential: Secret, salvage: Salvage
) -> Result:
    """The four steps inside the sandbox, in the words of the design."""
    instruction = attempt.claim.run.instruction
    await salvage.keep_lost()
    async with attempt.step(StepName.AUTHENTICATE):
        with commands.within(StepName.AUTHENTICATE):
            await login.authenticate(attempt, commands, facts, credential)
    async with attempt.step(StepName.CHECKOUT):
        with commands.within(StepName.CHECKOUT):
            start = await checkout.check_out(attempt, commands, facts)
        await leftover.note(attempt.workspace, attempt.origin)
    begun = await attempt.write(lambda tx: attempt.parts.progress.begun(tx, attempt.claim, start.sha))
    if instruction.command is None:
        login_name = facts["identity"]["login"]
        return Result(
            message=f"authenticated as {login_name}; {facts['target_branch']} at {start.target_sha[:12]}; branch ready",
            head_sha=start.sha,
        )
    exit_code = 0
    arrived = await publish.find_arrived(commands, start, begun)
    if arrived is None:  # else an earlier attempt was lost after its push: its command is not run again
        async with attempt.step(StepName.EXECUTE):
            exit_code = await execute.execute(commands, instruction)
    async with attempt.step(StepName.PUBLISH):
        with commands.within(StepName.PUBLISH):
            if arrived is None:
                published = await publish.publish(attempt, commands, facts, start, begun)
            else:
                published = await publish.finish(attempt, commands, start, arrived)
        await leftover.forget(attempt.workspace)
    return Result(
        message=published.message,
        changed=published.changed,
        head_sha=published.head_sha,
        exit_code=exit_code,
        wants_pull_request=published.pushed and _wants_pull_request(instruction),
    )


def _wants_pull_request(instruction: Instruction) -> bool:
    return instruction.publish.mode in {PublishMode.DRAFT, PublishMode.READY}


async def _rescue(salvage: Salvage, attempt: Attempt, commands: Commands, end: RunCancelled | RunFailure) -> None:
    """Keeps the work of a run that failed or was cancelled, and finds out whether a push that was cut off arrived."""
    if isinstance(end, RunFailure) and await room.is_full(attempt.workspace):
        end.message += " The disk of the workspaces was full; make room on it, or lower GITWARD_DISK."
    if not commands.checked_out:
        return
    pushed = await salvage.find_pushed(commands)
    if pushed is not None and isinstance(end, RunCancelled):
        end.pushed_sha = pushed
    elif pushed is not None and isinstance(end, RunFailure):
        end.head_sha = pushed
    if commands.kept is not None:  # by publish
        await salvage.tell(attempt.origin, commands.kept)
        await leftover.forget(attempt.workspace)
    else:
        await salvage.keep(attempt.origin)
