"""How a run that goes on asking a failing model is slowed down."""

from __future__ import annotations

import heapq

import pytest

from gitward.broker.policy.model_refusals import FORBIDDEN, TOO_MANY, ModelRefused
from gitward.broker.server.inject.breaker import CLOSED_SECONDS, FREE_FAILURES, LONGEST_SECONDS, MOST_WAIT, Breaker
from gitward.grants.model_calls import MOST_FAILURES, PATIENCE_SECONDS, Outcome


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


async def hammered(breaker: Breaker, clock: Clock, outcome: Outcome) -> tuple[list[float], ModelRefused]:
    """By an agent that asks again at once: how long each request has waited, and the first refusal."""
    waited: list[float] = []
    while True:
        try:
            waited += await asked(breaker, clock, [outcome])
        except ModelRefused as refused:
            return waited, refused


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.CUT, Outcome.UNREACHABLE])
async def test_each_further_request_waits_for_longer_and_after_some_more_none_passes(outcome: Outcome) -> None:
    """For an agent that asks again at once: some thirty requests within its patience."""
    clock = Clock()
    breaker = Breaker(clock=lambda: clock.now, sleep=clock.sleep)
    waited, refused = await hammered(breaker, clock, outcome)
    assert "no more requests to it are passed on" in str(refused)
    assert refused.status == FORBIDDEN  # agents do not ask again after that
    assert waited[:FREE_FAILURES] == [0.0] * FREE_FAILURES
    assert waited == sorted(waited)
    assert waited[-1] == LONGEST_SECONDS
    assert MOST_FAILURES < len(waited) < 2 * MOST_FAILURES
    assert PATIENCE_SECONDS <= clock.now <= PATIENCE_SECONDS + 2 * LONGEST_SECONDS


@pytest.mark.parametrize("agents", [1, 3, 8])
async def test_an_overload_of_a_minute_is_survived_by_an_agent_and_its_subagents(agents: int) -> None:
    """They ask again after 0.5 s, then after twice as long, up to 32 s."""
    clock = Clock()
    breaker = Breaker(clock=lambda: clock.now, sleep=clock.sleep)
    waiting, answered = [(0.0, number, 0.5) for number in range(agents)], 0
    while waiting:
        at, number, pause = heapq.heappop(waiting)
        clock.now = max(clock.now, at)
        await breaker.turn("host")
        if clock.now >= 60:
            breaker.ended("host", Outcome.ANSWERED)
            answered += 1
            continue
        assert breaker.ended("host", Outcome.REFUSED, 529) == 0
        heapq.heappush(waiting, (clock.now + pause, number, min(32.0, 2 * pause)))
    assert answered == agents


async def test_a_host_is_given_up_once_and_tried_once_a_minute() -> None:
    clock = Clock()
    breaker = Breaker(clock=lambda: clock.now, sleep=clock.sleep)
    told = [breaker.ended("host", Outcome.REFUSED) for _ in range(MOST_FAILURES - 1)]
    clock.now += PATIENCE_SECONDS
    told += [breaker.ended("host", Outcome.REFUSED) for _ in range(4)]
    assert told == [0] * (MOST_FAILURES - 1) + [MOST_FAILURES] + [0] * 3
    clock.now += CLOSED_SECONDS
    await breaker.turn("host")
    with pytest.raises(ModelRefused):
        await breaker.turn("host")
    assert not breaker.ended("host", Outcome.ANSWERED)
    await breaker.turn("host")


async def test_a_key_that_is_not_known_is_given_up_sooner() -> None:
    clock = Clock()
    breaker = Breaker(clock=lambda: clock.now, sleep=clock.sleep)
    told = [breaker.ended("host", Outcome.REFUSED, status) for status in (500, 401, 401, 500, 401, 401, 401, 401)]
    assert told == [0] * 7 + [8]
    with pytest.raises(ModelRefused, match="no more requests"):
        await breaker.turn("host")


async def test_who_waits_while_the_host_is_given_up_is_refused() -> None:
    """A request that came before the last failure waited for its turn."""
    clock = Clock()
    breaker = Breaker(clock=lambda: clock.now, sleep=clock.sleep)
    await asked(breaker, clock, [Outcome.REFUSED] * (MOST_FAILURES - 1))

    async def meanwhile(seconds: float) -> None:
        clock.now += seconds + PATIENCE_SECONDS
        breaker.ended("host", Outcome.REFUSED)

    breaker._sleep = meanwhile
    with pytest.raises(ModelRefused, match=f"failed {MOST_FAILURES + 1} times in a row; no more requests"):
        await breaker.turn("host")


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
    for _ in range(MOST_FAILURES - 1):
        breaker.ended("host", Outcome.REFUSED)
    together = int(MOST_WAIT / LONGEST_SECONDS)
    for _ in range(together):
        await breaker.turn("host")
    with pytest.raises(ModelRefused, match="requests to it wait for one another") as refused:
        await breaker.turn("host")
    assert refused.value.status == TOO_MANY
    assert slept == [LONGEST_SECONDS * (number + 1) for number in range(together)] + [MOST_WAIT]
