"""Step `work`: one attempt in one sandbox. Every command of it runs inside, the token stays with the broker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Any

from gitward.broker import BrokerEvent, OpenGrant
from gitward.errors import GitwardError, Reason, RunFailure
from gitward.github.tokens import Token
from gitward.grants.grant import Grant
from gitward.jobs import checkout, execute, login, publish
from gitward.jobs.asking import access_of
from gitward.jobs.attempt import Attempt
from gitward.jobs.checkpoints import RunCancelled
from gitward.jobs.commands import Commands
from gitward.jobs.freshness import Freshness
from gitward.jobs.output import OutputLog
from gitward.jobs.parts import Parts
from gitward.jobs.supervision import supervise, timed_out
from gitward.sandboxes import Sandbox, SandboxError
from gitward.secrets import Secret
from gitward.sessions.model import EventType, Instruction, PublishMode, StepName
from gitward.telemetry.redaction import Redactor

log = logging.getLogger(__name__)

SALVAGE_SECONDS = 30.0
CLOSING_SECONDS = 600.0  # how long a grant outlives the run's time limit, for salvage and publishing


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
    token = await parts.tokens.take(access_of(attempt))
    redactor = Redactor([token.secret])
    async with _granted(attempt, facts, token, seconds, redactor) as grant, _sandbox(attempt, grant) as sandbox:
        output = OutputLog(attempt, redactor)
        commands = Commands(sandbox, output, deadline=time.monotonic() + seconds, seconds=seconds)
        credential = grant.credential
        try:
            body = _phases(attempt, commands, facts, token.secret if parts.settings.login_mode else Secret(credential))
            return asdict(await supervise(attempt, body, seconds=seconds, late=timed_out(seconds)))
        except (RunCancelled, RunFailure) as end:
            if commands.checked_out and not commands.kept:
                await _salvage(attempt, sandbox, output, facts, end)
            raise
        except SandboxError as error:  # it may quote what the command wrote
            raise RunFailure(Reason.SANDBOX_FAILED, redactor.text(str(error))) from None
        finally:
            await output.finish()


async def _phases(attempt: Attempt, commands: Commands, facts: dict[str, Any], credential: Secret) -> Result:
    """The four steps inside the sandbox, in the words of the design."""
    instruction = attempt.claim.run.instruction
    async with attempt.step(StepName.AUTHENTICATE):
        await login.authenticate(attempt, commands, facts, credential)
    async with attempt.step(StepName.CHECKOUT):
        start = await checkout.check_out(attempt, commands, facts)
    if instruction.command is None:
        login_name = facts["identity"]["login"]
        return Result(
            message=f"authenticated as {login_name}; {facts['target_branch']} at {start.target_sha[:12]}; branch ready",
            head_sha=start.sha,
        )
    async with attempt.step(StepName.EXECUTE):
        exit_code = await execute.execute(commands, instruction)
    async with attempt.step(StepName.PUBLISH):
        published = await publish.publish(attempt, commands, facts, start)
    return Result(
        message=published.message,
        changed=published.changed,
        head_sha=published.head_sha,
        exit_code=exit_code,
        wants_pull_request=published.pushed and _wants_pull_request(instruction),
    )


def _wants_pull_request(instruction: Instruction) -> bool:
    return instruction.publish.mode in {PublishMode.DRAFT, PublishMode.READY}


async def _salvage(
    attempt: Attempt, sandbox: Sandbox, output: OutputLog, facts: dict[str, Any], end: BaseException
) -> None:
    """Keeps what a failed or cancelled run had written, as a patch; says so when it cannot."""
    commands = Commands(sandbox, output, deadline=time.monotonic() + SALVAGE_SECONDS, seconds=SALVAGE_SECONDS)
    try:
        await publish.keep_work(attempt, commands, facts)
    except (RunFailure, SandboxError) as failure:  # the run ends for its own reason, not for this one
        log.warning("Run %s: the work before %s could not be kept: %s", attempt.claim.run.id, end, failure)
        await attempt.notice("What the command had written by then could not be kept.")


@contextlib.asynccontextmanager
async def _granted(
    attempt: Attempt, facts: dict[str, Any], token: Token, seconds: float, redactor: Redactor
) -> AsyncIterator[OpenGrant]:
    """The token, and whatever takes its place, is with the broker inside this block, and nowhere afterwards."""
    session = attempt.claim.session
    grant = Grant(
        run_id=attempt.claim.run.id,
        repository=facts["repository"],
        repository_id=facts["repository_id"],
        push_ref=f"refs/heads/{session.branch}",
        readable=session.submodules,
        allow_workflows=session.allow_workflows,
        expires_at=time.time() + seconds + CLOSING_SECONDS,
    )
    telling: set[asyncio.Task[None]] = set()

    def on_event(event: BrokerEvent) -> None:
        task = asyncio.create_task(attempt.tell((EventType(event.type), event.data)))
        telling.add(task)
        task.add_done_callback(telling.discard)

    open_grant = await attempt.parts.broker.open(grant, token.secret, on_event)
    try:
        async with Freshness(attempt, open_grant, token, redactor).kept():
            yield open_grant
    finally:
        try:
            await open_grant.close()
        except GitwardError as error:  # its process is gone, and the token with it; what the run came to stands
            log.warning("Run %s: the broker could not be told that the run is over: %s", grant.run_id, error)
        for problem in await asyncio.gather(*telling, return_exceptions=True):
            if isinstance(problem, Exception):
                log.warning("Run %s: an event of the broker was not written: %s", grant.run_id, problem)


@contextlib.asynccontextmanager
async def _sandbox(attempt: Attempt, grant: OpenGrant) -> AsyncIterator[Sandbox]:
    """One sandbox lifetime; at its end nothing runs, and the home with gh's credential is empty."""
    settings = attempt.parts.settings
    workspace = settings.workspaces / attempt.claim.session.id
    sandbox = await attempt.parts.sandboxes.open(
        name=attempt.claim.run.id,
        workspace=workspace,
        endpoint=grant,
        limits=settings.limits,
    )
    try:
        yield sandbox
        if settings.login_mode:
            await login.log_out(attempt, sandbox)
    finally:
        try:
            await sandbox.close()
        finally:
            await login.wipe(workspace)
