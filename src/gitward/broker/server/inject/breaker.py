"""Slows an agent down that goes on asking a model which fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gitward.broker.policy.model_refusals import TOO_MANY, ModelRefused
from gitward.grants.model_calls import Outcome

FREE_FAILURES = 8  # in a row; agents try again about so often, with pauses of their own
FIRST_SECONDS, LONGEST_SECONDS = 0.25, 15.0  # between two requests; doubled with each failure
MOST_WAIT = 60.0  # of one request; then it is refused


@dataclass(kw_only=True)
class _Host:
    failures: int = 0  # since a model answered
    next: float = 0.0  # when a request may begin

    @property
    def gap(self) -> float:
        late = self.failures - FREE_FAILURES
        return 0.0 if late < 0 else min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** min(late, 20))


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

        :raises ModelRefused: too many wait already.
        """
        state = self._hosts.get(host)
        if state is None or not state.gap:
            return
        now = self._clock()
        begins = max(now, state.next) + state.gap
        if begins - now > MOST_WAIT:
            await self._sleep(MOST_WAIT)
            raise ModelRefused(
                "model.failing",
                f"the model at {host} failed {state.failures} times in a row; requests to it wait for one another.",
                status=TOO_MANY,
            )
        state.next = begins
        await self._sleep(begins - now)

    def ended(self, host: str, outcome: Outcome) -> None:
        """How a request ended. One that was given up says nothing."""
        if outcome is Outcome.ABANDONED:
            return
        state = self._hosts.setdefault(host, _Host())
        state.failures = 0 if outcome is Outcome.ANSWERED else state.failures + 1
