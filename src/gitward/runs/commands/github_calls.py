"""How the job asks GitHub: with a token of the moment, and with patience that whoever watches can see."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from gitward.errors import Reason, RunFailure
from gitward.github.client import Connection
from gitward.github.retries import Retries, Retry
from gitward.github.tokens import Access, Token
from gitward.runs.attempt import Attempt
from gitward.runs.commands.deadline import STEP_SECONDS
from gitward.sessions.model import EventType, StepName

T = TypeVar("T")

_REFUSED = frozenset({Reason.TOKEN_REJECTED, Reason.TOKEN_EXPIRED})


def token_access(attempt: Attempt) -> Access:
    session = attempt.claim.session
    return Access(
        repository=session.repo,
        submodules=session.submodules,
        workflows=attempt.parts.settings.may_change_workflows(session),
    )


def step_retries(attempt: Attempt, step: StepName, *, limited_seconds: float) -> Retries:
    """Patience for one step; every wait is an event.

    :param limited_seconds: how long the step may wait for GitHub's rate limits.
    """

    async def tell(retry: Retry) -> None:
        data = {"step": step, "cause": retry.cause, "seconds": round(retry.seconds, 1), "try": retry.number}
        await attempt.tell((EventType.STEP_RETRYING, data))

    return Retries(attempt.parts.settings.patience, limited_seconds=limited_seconds, tell=tell)


def step_patience(attempt: Attempt, step: StepName) -> tuple[Retries, float]:
    """For a step outside of the sandbox: its patience, and how long it may take with all of that."""
    settings = attempt.parts.settings
    limit = float(settings.time_limit(attempt.claim.run.instruction.timeout_seconds))
    retries = step_retries(attempt, step, limited_seconds=limit)
    return retries, STEP_SECONDS[step] + max(limit, settings.patience.total_seconds)


async def request(
    attempt: Attempt, retries: Retries, question: Callable[[Connection], Awaitable[T]], *, level: int
) -> T:
    """The answer to `question`, asked with the token of this moment; once more when that one was just replaced.

    :param level: of what the log says about the token.
    """
    may_write = attempt.parts.lease.require
    token = await attempt.parts.tokens.take(token_access(attempt), retries=retries, level=level)
    try:
        return await question(attempt.parts.github.connect(token, retries, before_write=may_write))
    except RunFailure as failure:
        fresh = await next_token(attempt, token, retries) if failure.reason in _REFUSED else None
        if fresh is None:
            raise
    return await question(attempt.parts.github.connect(fresh, retries, before_write=may_write))


async def next_token(attempt: Attempt, token: Token, retries: Retries | None = None) -> Token | None:
    """Another token in place of one that GitHub does not take; None when there is no other."""
    attempt.parts.tokens.distrust(token)
    fresh = await attempt.parts.tokens.take(token_access(attempt), retries=retries)
    return fresh if fresh.secret != token.secret else None
