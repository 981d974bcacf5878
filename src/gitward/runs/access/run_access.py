"""What a run may do at GitHub while it works: its grant, open at the broker, with a token that is kept fresh."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from gitward.broker import BrokerEvent, OpenGrant
from gitward.errors import GitwardError, Reason, RunFailure
from gitward.github.preflight import Facts
from gitward.github.tokens import Token
from gitward.grants import clock
from gitward.grants.grant import Grant
from gitward.grants.model_calls import ModelCall, ModelCalls
from gitward.runs.access.observed_pushes import ObservedPushes
from gitward.runs.access.token_renewal import TokenRenewal
from gitward.runs.access.usage_log import UsageLog
from gitward.runs.attempt import Attempt
from gitward.runs.commands.deadline import within_deadline
from gitward.runs.commands.github_calls import token_access
from gitward.secrets import Secret
from gitward.sessions.model import EventType, PublishMode
from gitward.telemetry.redaction import Redactor

log = logging.getLogger(__name__)

OPENING_SECONDS = 120.0  # for token and grant, and again for a sandbox
CLOSING_SECONDS = 600.0  # how long a grant outlives the run's time limit, for salvage and publishing


@dataclass(frozen=True, kw_only=True)
class RunAccess:
    """The grant, open at the broker, and what goes with it."""

    grant: OpenGrant
    credential: Secret  # what `gh auth login` is given
    redactor: Redactor  # knows every token of the run
    pushes: ObservedPushes
    models: ModelCalls  # what the broker saw of calls of models
    usage: UsageLog  # what they used


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """Where the broker's word goes."""

    pushes: ObservedPushes
    models: ModelCalls
    usage: UsageLog


@contextlib.asynccontextmanager
async def open_access(attempt: Attempt, facts: Facts, *, seconds: float) -> AsyncIterator[RunAccess]:
    """A grant that is open inside this block; for a run that may take so many seconds.

    :raises RunCancelled, RunFailure: as `within_deadline`; opening takes a while when machine or broker are in trouble.
    """
    async with contextlib.AsyncExitStack() as stack:
        yield await within_deadline(
            attempt, _open(stack, attempt, facts, seconds), seconds=OPENING_SECONDS, late=opening_took_too_long()
        )


def opening_took_too_long() -> RunFailure:
    """Why a run ends for which no sandbox, or no grant, could be opened in time."""
    return RunFailure(Reason.SANDBOX_FAILED, f"No sandbox could be opened within {OPENING_SECONDS:g} s; retry the run.")


async def _open(stack: contextlib.AsyncExitStack, attempt: Attempt, facts: Facts, seconds: float) -> RunAccess:
    token = await attempt.services.tokens.take(token_access(attempt))
    injected = await attempt.services.injected.take()
    redactor = Redactor([token.secret, *(secret for secret in injected if secret is not None)])
    seen = _Seen(pushes=ObservedPushes(), models=ModelCalls(), usage=await UsageLog.begin(attempt))
    grant = await stack.enter_async_context(
        _granted(attempt, _grant(attempt, facts, seconds), token, seen, redactor=redactor, injected=injected)
    )
    credential = token.secret if attempt.services.settings.login_mode else Secret(grant.credential)
    return RunAccess(
        grant=grant, credential=credential, redactor=redactor, pushes=seen.pushes, models=seen.models, usage=seen.usage
    )


def _grant(attempt: Attempt, facts: Facts, seconds: float) -> Grant:
    session, settings = attempt.session, attempt.services.settings
    opened = session.pull_request
    return Grant(
        run_id=attempt.run.id,
        repository=facts.repository,
        repository_id=facts.repository_id,
        push_ref=f"refs/heads/{session.branch}",
        readable=session.submodules,
        public_read=settings.public_read,
        is_agent=attempt.run.instruction.prompt is not None,
        allow_workflows=settings.may_change_workflows(session),
        own_writes=settings.own_writes,
        issues=session.opened_issues,
        pull_request=opened.number if opened is not None else None,
        ready=attempt.run.instruction.publish.mode is PublishMode.READY,
        target_branch=facts.target_branch,
        target_sha=facts.target_sha,
        expires_at=clock.seconds() + seconds + CLOSING_SECONDS,
    )


@contextlib.asynccontextmanager
async def _granted(
    attempt: Attempt,
    grant: Grant,
    token: Token,
    seen: _Seen,
    *,
    redactor: Redactor,
    injected: Sequence[Secret | None],
) -> AsyncIterator[OpenGrant]:
    """The token, and whatever takes its place, is with the broker inside this block, and nowhere afterwards."""
    renewal = TokenRenewal(attempt, token, redactor)
    witness = _Witness(attempt, seen, renewal)
    open_grant = await attempt.services.brokers.open(
        grant, token.secret, witness.observe, attempt.services.inspector, injected=injected, budget=seen.usage.budget
    )
    try:
        async with renewal.running(open_grant), seen.usage.running(open_grant):
            yield open_grant
    finally:
        try:
            await open_grant.close()
        except GitwardError as error:  # its process is gone, and the token with it; what the run came to stands
            log.warning("Run %s: could not tell the broker that the run is over: %s", grant.run_id, error)
        await witness.finish()
        await seen.usage.close()


class _Witness:
    """Takes what the broker saw: into the session's log, and to those who wait for it."""

    def __init__(self, attempt: Attempt, seen: _Seen, renewal: TokenRenewal) -> None:
        self._attempt, self._renewal = attempt, renewal
        self._pushes, self._models, self._usage = seen.pushes, seen.models, seen.usage
        self._writing: set[asyncio.Task[None]] = set()

    def observe(self, event: BrokerEvent) -> None:
        match event.type:
            case "token.rejected":
                self._renewal.rejected()
            case "push.refused":
                pass  # git says it too, to whoever pushed
            case "branch.pushed":
                self._pushed(old=event.data["old"], new=event.data["new"])
            case "model.call":
                self._called(ModelCall.of(event.data))
            case "budget.reached":
                self._models.budget_reached(event.data["message"])
            case "model.given_up":
                self._models.give_up(int(event.data["failures"]))
            case "issue.opened":
                self._write(self._attempt.record_issue(int(event.data["number"])))
            case _:
                self._write(self._attempt.record((EventType(event.type), event.data)))

    def _called(self, call: ModelCall) -> None:
        self._usage.saw(call)
        if self._models.saw(call):
            times = self._models.tally.failing
            data = {"host": call.host, "status": call.status, "times": times}
            self._write(self._attempt.record((EventType.MODEL_FAILING, data)))

    def _pushed(self, *, old: str, new: str) -> None:
        self._pushes.record(old=old, new=new)
        if new != self._attempt.pushing_sha:  # our own push: step `publish` records it
            self._write(self._attempt.record_push(new))

    def _write(self, writing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(writing)
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def finish(self) -> None:
        """Waits for what is being written."""
        for problem in await asyncio.gather(*self._writing, return_exceptions=True):
            if isinstance(problem, Exception):
                run_id = self._attempt.run.id
                log.warning("Run %s: an event of the broker was not written: %s", run_id, problem)
