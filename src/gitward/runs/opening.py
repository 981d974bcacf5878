"""What an attempt holds while it works: the token at the broker, and a sandbox. All of it is given back."""

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
from gitward.runs import login
from gitward.runs.asking import access_of
from gitward.runs.attempt import Attempt
from gitward.runs.freshness import Freshness
from gitward.runs.supervision import supervise
from gitward.sandboxes import Sandbox
from gitward.secrets import Secret
from gitward.sessions.model import EventType
from gitward.telemetry.redaction import Redactor

log = logging.getLogger(__name__)

OPENING_SECONDS = 120.0  # for token, grant and sandbox
CLOSING_SECONDS = 600.0  # how long a grant outlives the run's time limit, for salvage and publishing


@dataclass(frozen=True, kw_only=True)
class Opened:
    """Ready to work with."""

    sandbox: Sandbox
    credential: Secret  # what `gh auth login` is given
    redactor: Redactor  # knows every token of the run


@contextlib.asynccontextmanager
async def opened(attempt: Attempt, facts: dict[str, Any], *, seconds: float) -> AsyncIterator[Opened]:
    """Grant and sandbox, open inside this block; for a run that may take so many seconds.

    :raises RunCancelled, RunFailure: as `supervise`; opening takes a while when machine or broker are in trouble.
    """
    async with contextlib.AsyncExitStack() as stack:
        late = RunFailure(
            Reason.SANDBOX_FAILED, f"No sandbox could be opened within {OPENING_SECONDS:g} s; retry the run."
        )
        yield await supervise(attempt, _open(stack, attempt, facts, seconds), seconds=OPENING_SECONDS, late=late)


async def _open(stack: contextlib.AsyncExitStack, attempt: Attempt, facts: dict[str, Any], seconds: float) -> Opened:
    token = await attempt.parts.tokens.take(access_of(attempt))
    injected = await attempt.parts.injected.take()
    redactor = Redactor([token.secret, *(secret for secret in injected if secret is not None)])
    grant = await stack.enter_async_context(
        _granted(attempt, facts, token, seconds, redactor=redactor, injected=injected)
    )
    sandbox = await stack.enter_async_context(_sandbox(attempt, grant))
    credential = token.secret if attempt.parts.settings.login_mode else Secret(grant.credential)
    return Opened(sandbox=sandbox, credential=credential, redactor=redactor)


@contextlib.asynccontextmanager
async def _granted(
    attempt: Attempt,
    facts: dict[str, Any],
    token: Token,
    seconds: float,
    *,
    redactor: Redactor,
    injected: Sequence[Secret | None],
) -> AsyncIterator[OpenGrant]:
    """The token, and whatever takes its place, is with the broker inside this block, and nowhere afterwards."""
    session = attempt.claim.session
    grant = Grant(
        run_id=attempt.claim.run.id,
        repository=facts["repository"],
        repository_id=facts["repository_id"],
        push_ref=f"refs/heads/{session.branch}",
        readable=session.submodules,
        public_read=attempt.parts.settings.public_read,
        allow_workflows=session.allow_workflows,
        target_branch=facts["target_branch"],
        target_sha=facts["target_sha"],
        expires_at=clock.seconds() + seconds + CLOSING_SECONDS,
    )
    telling: set[asyncio.Task[None]] = set()

    freshness = Freshness(attempt, token, redactor)

    def on_event(event: BrokerEvent) -> None:
        if event.type == "token.rejected":
            freshness.rejected()
            return
        if event.type == "push.refused":
            return  # git says it too, to whoever pushed
        if event.type == "branch.pushed" and event.data["new"] == attempt.pushing_sha:
            return  # our own push: step `publish` tells it, when it knows that it arrived
        task = asyncio.create_task(attempt.tell((EventType(event.type), event.data)))
        telling.add(task)
        task.add_done_callback(telling.discard)

    open_grant = await attempt.parts.broker.open(
        grant, token.secret, on_event, attempt.parts.inspector, injected=injected
    )
    try:
        async with freshness.kept(open_grant):
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
    workspace = attempt.workspace
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
