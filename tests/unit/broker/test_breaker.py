"""How a run that goes on asking a failing model is slowed down."""

from __future__ import annotations

import pytest

from gitward.broker.policy.model_refusals import ModelRefused
from gitward.broker.server.inject.breaker import FREE_FAILURES, LONGEST_SECONDS, MOST_WAIT, Breaker
from gitward.grants.model_calls import Outcome


class Clock:
    """Time passes only in sleep."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


async def asked(breaker: Breaker, clock: Clock, outcomes: list[Outcome]) -> list[float]:
    """How long each of these requests, one after the other, has waited."""
    waited = []
    for outcome in outcomes:
        before = clock.now
        await breaker.turn("host")
        waited.append(clock.now - before)
        breaker.ended("host", outcome)
    return waited


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.CUT, Outcome.UNREACHABLE])
async def test_within_twenty_failures_each_further_request_waits_for_long(outcome: Outcome) -> None:
    clock = Clock()
    waited = await asked(Breaker(clock=lambda: clock.now, sleep=clock.sleep), clock, [outcome] * 20)
    assert waited[:FREE_FAILURES] == [0.0] * FREE_FAILURES
    assert waited == sorted(waited)
    assert waited[-1] == LONGEST_SECONDS


async def test_an_answer_lets_everything_pass_again() -> None:
    clock = Clock()
    breaker = Breaker(clock=lambda: clock.now, sleep=clock.sleep)
    await asked(breaker, clock, [*[Outcome.REFUSED] * 15, Outcome.ABANDONED, Outcome.ANSWERED])
    assert await asked(breaker, clock, [Outcome.REFUSED] * FREE_FAILURES) == [0.0] * FREE_FAILURES


async def test_other_hosts_are_not_slowed_down() -> None:
    clock = Clock()
    breaker = Breaker(clock=lambda: clock.now, sleep=clock.sleep)
    await asked(breaker, clock, [Outcome.REFUSED] * 15)
    before = clock.now
    await breaker.turn("another")
    assert clock.now == before


async def test_requests_that_come_together_wait_for_one_another_and_not_for_ever() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    breaker = Breaker(clock=lambda: 0.0, sleep=sleep)
    for _ in range(20):
        breaker.ended("host", Outcome.REFUSED)
    for _ in range(int(MOST_WAIT / LONGEST_SECONDS)):
        await breaker.turn("host")
    with pytest.raises(ModelRefused, match="failed 20 times in a row"):
        await breaker.turn("host")
    assert slept == [15.0, 30.0, 45.0, 60.0, MOST_WAIT]
