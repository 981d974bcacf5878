"""Step `work`: one attempt. Its commands run in one sandbox, its work is taken in another; the token is in neither."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from gitward.broker import BrokerError
from gitward.errors import Reason, RunFailure
from gitward.github.preflight import Facts
from gitward.grants.lease import LeaseLost
from gitward.repositories import baseline, checkout
from gitward.repositories.baseline import Baseline
from gitward.repositories.refs import Refs
from gitward.repositories.start_point import StartPoint
from gitward.runs.access.run_access import open_access
from gitward.runs.agents import agent_turn, memory
from gitward.runs.attempt import Attempt
from gitward.runs.checkpoints import RunCancelled, unexpected_failure
from gitward.runs.commands.deadline import timed_out, within_deadline
from gitward.runs.commands.output import OutputLog
from gitward.runs.commands.runner import CommandRunner
from gitward.runs.context import Context
from gitward.runs.facts import WorkResult
from gitward.runs.publishing.push_and_store import Published
from gitward.runs.publishing.result_sandbox import open_result_sandbox
from gitward.runs.recovery import disk_space, salvage, work_so_far
from gitward.runs.recovery.republish import publish_kept
from gitward.runs.services import JobServices
from gitward.runs.steps import execute, publish
from gitward.runs.steps.authenticate import authenticate
from gitward.runs.steps.checkout import check_out, note_baseline
from gitward.runs.steps.setup import set_up
from gitward.runs.storage import workspace_names
from gitward.runs.workspace.command_sandbox import CommandSandbox, open_command_sandbox
from gitward.runs.workspace.snapshot import take_snapshot
from gitward.sandboxes import SandboxError
from gitward.sessions.model import Instruction, PublishMode, StepName
from gitward.sessions.progress import AttemptLost, EarlierAttempts
from gitward.store import disk

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Instructed:
    """The instruction was carried out, or an earlier attempt had done it."""

    noted: Baseline
    refs: Refs
    begun: EarlierAttempts
    exit_code: int | None = 0  # of the command; None: there was none
    said: str = ""  # by the agent, at last
    arrived: str | None = None  # the head that an earlier attempt pushed


async def work(services: JobServices, run_id: str, facts: Facts) -> WorkResult:
    """Authenticates, checks out, executes and publishes."""
    attempt = await Attempt.begin(services, run_id)
    await asyncio.to_thread(workspace_names.prepare, services.settings.workspaces, attempt.session.id)
    seconds = float(services.settings.time_limit(attempt.run.instruction.timeout_seconds))
    async with open_access(attempt, facts, seconds=seconds) as here:
        output = OutputLog(attempt, here.redactor)
        context = Context(attempt=attempt, facts=facts, access=here, output=output, seconds=seconds)
        try:
            if context.instruction.publish_of is not None:
                return await _publish_kept(context)
            return await _work(context)
        except OSError as error:
            raise disk_space.failure_of(error) from error
        finally:
            await output.finish()


async def _publish_kept(context: Context) -> WorkResult:
    async with _rescued(context, lambda end, _: salvage.rescue_published(context, end)):
        published = await _bounded(context, publish_kept(context))
    return _result(context.instruction, published, exit_code=None)


async def _work(context: Context) -> WorkResult:
    async with open_command_sandbox(context) as sandboxed, _tidied(context):

        async def rescue(end: RunCancelled | RunFailure, for_good: bool) -> None:
            await _close(context, sandboxed)
            await salvage.rescue(context, sandboxed.user, end, for_good=for_good)

        async with _rescued(context, rescue):
            done = await _bounded(context, _instruct(context, sandboxed))
            await _close(context, sandboxed)
            if isinstance(done, WorkResult):
                return done
            return await _bounded(context, _publish(context, sandboxed, done))


Rescue = Callable[[RunCancelled | RunFailure, bool], Awaitable[None]]


@contextlib.asynccontextmanager
async def _rescued(context: Context, rescue: Rescue) -> AsyncIterator[None]:
    """The edge of a run's work, which is kept whatever happened. It raises RunCancelled or RunFailure.

    :param rescue: is told how the run ends, and whether that is for good: after an error that is ours alone, what
        cannot be kept at once waits for the session's next run.
    :raises AttemptLost, LeaseLost: whoever has the run now takes its work.
    """
    try:
        yield
    except (AttemptLost, LeaseLost):
        raise
    except Exception as error:
        context.attempt.services.lease.require()  # else it may be for no other reason than the lease's end
        end = _expected_end(context, error)
        if end is None:
            log.exception("Step work of run %s failed unexpectedly", context.attempt.run.id)
        told = end or unexpected_failure("work")  # with what the rescue finds out
        await rescue(told, end is not None and not isinstance(error, BrokerError | SandboxError))
        raise told from None


def _expected_end(context: Context, error: Exception) -> RunCancelled | RunFailure | None:
    """How the run ends; None: by an error that is nobody's but ours."""
    if isinstance(error, RunCancelled | RunFailure):
        return error
    if isinstance(error, BrokerError):
        log.warning("Run %s: %s", context.attempt.run.id, error)
    if isinstance(error, SandboxError | BrokerError):  # it may quote what the command wrote
        return RunFailure(Reason.SANDBOX_FAILED, context.access.redactor.text(str(error)))
    if isinstance(error, OSError) and disk.fault_of(error) is not None:  # what the worker itself writes beside it
        return disk_space.failure_of(error)
    return None


async def _close(context: Context, sandboxed: CommandSandbox) -> None:
    """Nothing of the run is executing any more; what its agent remembers is kept."""
    await sandboxed.close()
    await memory.keep(context, final=True)


async def _bounded(context: Context, body: Coroutine[Any, Any, T]) -> T:
    return await within_deadline(context.attempt, body, seconds=context.seconds_left, late=timed_out(context.seconds))


@contextlib.asynccontextmanager
async def _tidied(context: Context) -> AsyncIterator[None]:
    """When the work is kept, the checkout goes. A worker that is stopped leaves it for the attempt that follows."""
    try:
        yield
    except asyncio.CancelledError:
        raise
    except Exception:
        await _tidy(context)
        raise
    await _tidy(context)


async def _tidy(context: Context) -> None:
    if await asyncio.to_thread(baseline.find, context.workspace) is None:
        aside = await asyncio.to_thread(checkout.retire, context.workspace)
        if aside is not None:
            context.attempt.services.trash.add(aside)


async def _instruct(context: Context, sandboxed: CommandSandbox) -> Instructed | WorkResult:
    """The steps before `publish`, in the words of the design."""
    attempt, commands = context.attempt, context.commands(sandboxed.sandbox)
    await memory.keep_lost(context)
    await salvage.store_lost_work(context, sandboxed.user)
    refs_task = asyncio.create_task(take_snapshot(context))
    try:
        async with attempt.step(StepName.AUTHENTICATE):
            with commands.within(StepName.AUTHENTICATE), commands.in_series():
                await authenticate(attempt, commands, context.facts, context.access.credential)
        async with attempt.step(StepName.CHECKOUT):
            with commands.within(StepName.CHECKOUT), commands.in_series():
                refs = await refs_task
                start = await check_out(context, commands, refs)
    finally:
        refs_task.cancel()
        await asyncio.wait([refs_task])
    begun = await attempt.write(lambda tx: attempt.services.progress.record_start(tx, attempt.hold, start.sha))
    if not context.instruction.works:
        await asyncio.to_thread(baseline.drop, context.workspace)
        return _ready(context, start)
    arrived = await _find_arrived(commands, start, begun)
    has_setup = arrived is None and await set_up(context, commands, sandboxed.user, start)
    noted = await note_baseline(context, refs, start, has_setup=has_setup)
    if arrived is not None:  # an earlier attempt was lost after its push: its command is not run again
        return Instructed(noted=noted, refs=refs, begun=begun, arrived=arrived)
    async with attempt.step(StepName.EXECUTE), _kept_meanwhile(context, sandboxed, noted, refs):
        executing = _execute(context, commands, noted)
        exit_code, said = await attempt.services.disk.execute(context.workspace, executing)
    return Instructed(noted=noted, refs=refs, begun=begun, exit_code=exit_code, said=said)


def _kept_meanwhile(
    context: Context, sandboxed: CommandSandbox, noted: Baseline, refs: Refs
) -> AbstractAsyncContextManager[None]:
    if context.instruction.prompt is None:
        return contextlib.nullcontext()
    return work_so_far.kept_meanwhile(context, sandboxed.user, noted, refs)


async def _execute(context: Context, commands: CommandRunner, noted: Baseline) -> tuple[int | None, str]:
    """The command's exit code, or the agent's last message."""
    if context.instruction.prompt is not None:
        return None, (await agent_turn.execute(context, commands, noted)).said
    return await execute.execute(commands, context.instruction, has_setup=noted.has_setup), ""


def _ready(context: Context, start: StartPoint) -> WorkResult:
    login_name, target = context.facts.identity.login, context.facts.target_branch
    return WorkResult(
        message=f"authenticated as {login_name}; {target} at {start.target_sha[:12]}; branch ready", head_sha=start.sha
    )


async def _find_arrived(commands: CommandRunner, start: StartPoint, begun: EarlierAttempts) -> str | None:
    """The head that an earlier attempt pushed, when it is in the session's branch upstream."""
    head = begun.pushing_sha
    if head is None or start.sha == begun.start_sha:
        return None
    if head == start.sha:
        return head
    asked = ["git", "merge-base", "--is-ancestor", head, start.sha]  # somebody may have pushed upon it
    return head if (await commands.capture(asked, limit=4096)).exit_code == 0 else None


async def _publish(context: Context, sandboxed: CommandSandbox, done: Instructed) -> WorkResult:
    attempt = context.attempt
    async with attempt.step(StepName.PUBLISH):
        async with open_result_sandbox(context, done.noted.start, sandboxed.user) as result_sandbox:
            with result_sandbox.commands.within(StepName.PUBLISH):
                if done.arrived is None:
                    published = await publish.publish(context, result_sandbox, done.noted, done.refs, done.begun)
                else:
                    published = await publish.finish(context, result_sandbox, done.arrived)
        await asyncio.to_thread(baseline.drop, context.workspace)
    result = _result(context.instruction, published, exit_code=done.exit_code)
    return result if published.changed or not done.said else replace(result, message=done.said)


def _result(instruction: Instruction, published: Published, *, exit_code: int | None) -> WorkResult:
    proposed = instruction.publish.mode in {PublishMode.DRAFT, PublishMode.READY}
    return WorkResult(
        message=published.message,
        changed=published.changed,
        head_sha=published.head_sha,
        exit_code=exit_code,
        wants_pull_request=published.pushed and proposed,
    )
