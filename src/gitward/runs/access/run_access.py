"""What a run may do at GitHub while it works: its grant, open at the broker, with a token that is kept fresh."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from gitward.broker import BrokerEvent, OpenGrant
from gitward.errors import GitwardError, Reason, RunFailure
from gitward.github.tokens import Token
from gitward.grants import clock
from gitward.grants.grant import Grant
from gitward.grants.model_calls import ModelCall, ModelCalls
from gitward.runs.access.observed_pushes import ObservedPushes
from gitward.runs.access.token_renewal import TokenRenewal
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


@contextlib.asynccontextmanager
async def open_access(attempt: Attempt, facts: dict[str, Any], *, seconds: float) -> AsyncIterator[RunAccess]:
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


async def _open(stack: contextlib.AsyncExitStack, attempt: Attempt, facts: dict[str, Any], seconds: float) -> RunAccess:
    token = await attempt.parts.tokens.take(token_access(attempt))
    injected = await attempt.parts.injected.take()
    redactor = Redactor([token.secret, *(secret for secret in injected if secret is not None)])
    pushes, models = ObservedPushes(), ModelCalls()
    grant = await stack.enter_async_context(
        _granted(attempt, _grant(attempt, facts, seconds), token, pushes, models, redactor=redactor, injected=injected)
    )
    credential = token.secret if attempt.parts.settings.login_mode else Secret(grant.credential)
    return RunAccess(grant=grant, credential=credential, redactor=redactor, pushes=pushes, models=models)


def _grant(attempt: Attempt, facts: dict[str, Any], seconds: float) -> Grant:
    session, settings = attempt.claim.session, attempt.parts.settings
    opened = session.pull_request
    return Grant(
        run_id=attempt.claim.run.id,
        repository=facts["repository"],
        repository_id=facts["repository_id"],
        push_ref=f"refs/heads/{session.branch}",
        readable=session.submodules,
        public_read=settings.public_read,
        is_agent=attempt.claim.run.instruction.prompt is not None,
        allow_workflows=settings.may_change_workflows(session),
        own_writes=settings.own_writes,
        issues=session.opened_issues,
        pull_request=opened.number if opened is not None else None,
        ready=attempt.claim.run.instruction.publish.mode is PublishMode.READY,
        target_branch=facts["target_branch"],
        target_sha=facts["target_sha"],
        expires_at=clock.seconds() + seconds + CLOSING_SECONDS,
    )


@contextlib.asynccontextmanager
async def _granted(
    attempt: Attempt,
    grant: Grant,
    token: Token,
    pushes: ObservedPushes,
    models: ModelCalls,
    *,
    redactor: Redactor,
    injected: Sequence[Secret | None],
) -> AsyncIterator[OpenGrant]:
    """The token, and whatever takes its place, is with the broker inside this block, and nowhere afterwards."""
    freshness = TokenRenewal(attempt, token, redactor)
    witness = _Witness(attempt, pushes, models, freshness)
    open_grant = await attempt.parts.brokers.open(
        grant, token.secret, witness.saw, attempt.parts.inspector, injected=injected
    )
    try:
        async with freshness.kept(open_grant):
            yield open_grant
    finally:
        try:
            await open_grant.close()
        except GitwardError as error:  # its process is gone, and the token with it; what the run came to stands
            log.warning("Run %s: could not tell the broker that the run is over: %s", grant.run_id, error)
        await witness.finish()


class _Witness:
    """Takes what the broker saw: into the session's log, and to those who wait for it."""

    def __init__(self, attempt: Attempt, pushes: ObservedPushes, models: ModelCalls, freshness: TokenRenewal) -> None:
        self._attempt, self._pushes, self._models, self._freshness = attempt, pushes, models, freshness
        self._writing: set[asyncio.Task[None]] = set()

    def saw(self, event: BrokerEvent) -> None:
        match event.type:
            case "token.rejected":
                self._freshness.rejected()
            case "push.refused":
                pass  # git says it too, to whoever pushed
            case "branch.pushed":
                self._pushed(old=event.data["old"], new=event.data["new"])
            case "model.call":
                self._models.saw(ModelCall.of(event.data))
            case "issue.opened":
                self._write(self._attempt.record_issue(int(event.data["number"])))
            case _:
                self._write(self._attempt.tell((EventType(event.type), event.data)))

    def _pushed(self, *, old: str, new: str) -> None:
        self._pushes.saw(old=old, new=new)
        if new != self._attempt.pushing_sha:  # our own push: step `publish` records it
            self._write(self._attempt.record_push(new))

    def _write(self, writing: Any) -> None:
        task = asyncio.create_task(writing)
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def finish(self) -> None:
        """Waits for what is being written."""
        for problem in await asyncio.gather(*self._writing, return_exceptions=True):
            if isinstance(problem, Exception):
                run_id = self._attempt.claim.run.id
                log.warning("Run %s: an event of the broker was not written: %s", run_id, problem)
