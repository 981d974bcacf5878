"""Slows an agent down that goes on asking a model which fails, and after a while refuses it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gitward.broker.policy.model_refusals import FORBIDDEN, TOO_MANY, ModelRefused
from gitward.grants.model_calls import MOST_FAILURES, MOST_UNAUTHORIZED, PATIENCE_SECONDS, Outcome

RULE = "model.failing"
UNAUTHORIZED = 401
FREE_FAILURES = 8  # in a row; agents try again about so often, with pauses of their own
FIRST_SECONDS, LONGEST_SECONDS = 0.25, 4.0  # between two requests; doubled with each failure
MOST_WAIT = 30.0  # of one request; then it is refused
CLOSED_SECONDS = 60.0  # of a host that is given up: between two requests that try whether it answers again
REFUSAL_SECONDS = 1.0  # before each refusal in that time, for an agent that does not listen


@dataclass(kw_only=True)
class _Host:
    failures: int = 0  # since a model answered
    unauthorized: int = 0  # of these: the last ones, for which the host did not know the key
    lasted: float = 0.0  # seconds from the first of them to the last
    next: float = 0.0  # when a request may begin
    _since: float = 0.0  # when the first of them ended

    @property
    def gap(self) -> float:
        late = self.failures - FREE_FAILURES
        return 0.0 if late < 0 else min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** min(late, 20))

    @property
    def is_given_up(self) -> bool:
        """Some subagents fail so often within seconds: an overload of a minute must not end their turn."""
        lasts = self.failures >= MOST_FAILURES and self.lasted >= PATIENCE_SECONDS
        return lasts or self.unauthorized >= MOST_UNAUTHORIZED

    def ended(self, *, answered: bool, status: int | None, now: float) -> None:
        self._since = now if answered or not self.failures else self._since
        self.lasted = now - self._since
        self.failures = 0 if answered else self.failures + 1
        self.unauthorized = self.unauthorized + 1 if not answered and status == UNAUTHORIZED else 0


class Breaker:
    """Of one run, for each host. An answer lets everything pass again."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._hosts: dict[str, _Host] = {}

    async def turn(self, host: str) -> None:
        """Waits until a request to this host may begin.

        :raises ModelRefused: it failed too often, or too many wait already.
        """
        state = self._hosts.get(host)
        if state is None or not (state.gap or state.is_given_up):
            return
        if not state.is_given_up:
            await self._wait(state, host)
        if state.is_given_up:  # maybe by now
            await self._require_time(state, host)

    async def _wait(self, state: _Host, host: str) -> None:
        """For the requests that came before, and their pauses."""
        now = self._clock()
        begins = max(now, state.next) + state.gap
        if begins - now > MOST_WAIT:
            await self._sleep(MOST_WAIT)
            raise _refused(host, state, "requests to it wait for one another.", status=TOO_MANY)
        state.next = begins
        await self._sleep(begins - now)

    async def _require_time(self, state: _Host, host: str) -> None:
        now = self._clock()
        if now < state.next:
            await self._sleep(REFUSAL_SECONDS)
            raise _refused(host, state, "no more requests to it are passed on.", status=FORBIDDEN)
        state.next = now + CLOSED_SECONDS

    def ended(self, host: str, outcome: Outcome, status: int | None = None) -> int:
        """How a request ended. One that was given up says nothing.

        :return: after how many failures the host is given up from now on; else 0.
        """
        if outcome is Outcome.ABANDONED:
            return 0
        state = self._hosts.setdefault(host, _Host())
        before = state.is_given_up
        state.ended(answered=outcome is Outcome.ANSWERED, status=status, now=self._clock())
        if not state.is_given_up or before:
            return 0
        state.next = self._clock() + CLOSED_SECONDS
        return state.failures


def _refused(host: str, state: _Host, what: str, *, status: int) -> ModelRefused:
    return ModelRefused(RULE, f"the model at {host} failed {state.failures} times in a row; {what}", status=status)
