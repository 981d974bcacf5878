"""Faults that pass are borne, within bounds, and told; others fail at once."""

from __future__ import annotations

import asyncio

import pytest

from connections import HASTY
from gitward.errors import Reason, RunFailure
from gitward.github.retries import PassingFault, Patience, Retries, Retry


def fault(*, wait: float | None = None, carried_out: bool = True, cause: str = "GitHub answered 503") -> PassingFault:
    message = f"{cause}; retry when GitHub works again."
    return PassingFault(Reason.INTERNAL, message, cause=cause, wait_seconds=wait, carried_out=carried_out)


class Calls:
    """A call that raises what is planned, then answers."""

    def __init__(self, *faults: RunFailure) -> None:
        self.faults = list(faults)
        self.made = 0

    async def __call__(self) -> str:
        self.made += 1
        if self.faults:
            raise self.faults.pop(0)
        return "answer"


class Told(list[Retry]):
    async def __call__(self, retry: Retry) -> None:
        self.append(retry)


async def test_a_fault_that_passes_is_borne_and_told() -> None:
    calls, told = Calls(fault(), fault(cause="GitHub answered 502")), Told()
    assert await Retries(HASTY, tell=told).run(calls) == "answer"
    assert [(retry.cause, retry.number) for retry in told] == [("GitHub answered 503", 1), ("GitHub answered 502", 2)]
    assert all(0 < retry.seconds <= HASTY.longest_seconds for retry in told)


async def test_another_failure_is_raised_at_once() -> None:
    calls = Calls(RunFailure(Reason.TOKEN_REJECTED, "no"))
    with pytest.raises(RunFailure, match="no"):
        await Retries(HASTY).run(calls)
    assert calls.made == 1


async def test_patience_ends_with_the_last_failure_and_how_often_it_was_tried() -> None:
    calls = Calls(*(fault() for _ in range(1000)))
    with pytest.raises(RunFailure, match=r"GitHub works again \(tried \d+ times in \d+ s\)\.$") as raised:
        await Retries(Patience(first_seconds=0.01, longest_seconds=0.02, total_seconds=0.2)).run(calls)
    assert not isinstance(raised.value, PassingFault)
    assert 2 < calls.made < 50


async def test_the_tries_are_counted_too() -> None:
    calls = Calls(*(fault() for _ in range(1000)))
    with pytest.raises(RunFailure, match="tried 4 times"):
        await Retries(Patience(first_seconds=0.001, longest_seconds=0.001, tries=4)).run(calls)


async def test_what_may_not_be_repeated_is_raised_as_it_is() -> None:
    """Its caller looks whether it was carried out."""
    calls = Calls(fault())
    with pytest.raises(PassingFault):
        await Retries(HASTY).run(calls, repeatable=False)
    assert calls.made == 1


async def test_what_was_not_carried_out_may_be_repeated_in_any_case() -> None:
    calls = Calls(fault(carried_out=False))
    assert await Retries(HASTY).run(calls, repeatable=False) == "answer"


async def test_github_s_own_wait_is_kept_and_bounded_by_the_run_s_time() -> None:
    told = Told()
    began = asyncio.get_running_loop().time()
    assert await Retries(HASTY, limited_seconds=5, tell=told).run(Calls(fault(wait=0.2))) == "answer"
    assert asyncio.get_running_loop().time() - began >= 0.2
    with pytest.raises(RunFailure, match=r"again\.$"):
        await Retries(HASTY, limited_seconds=5, tell=told).run(Calls(fault(wait=10)))
    assert len(told) == 1


async def test_calls_side_by_side_that_wait_for_the_same_tell_it_once() -> None:
    told = Told()
    retries = Retries(HASTY, tell=told)
    await asyncio.gather(retries.run(Calls(fault())), retries.run(Calls(fault())))
    assert len(told) == 1


def test_waits_double_up_to_the_longest_and_are_spread() -> None:
    patience = Patience(first_seconds=1, longest_seconds=10)
    for number, whole in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (400, 10)]:
        pauses = {patience.pause(number) for _ in range(50)}
        assert len(pauses) > 1
        assert all(whole / 2 <= pause <= whole for pause in pauses)


def test_the_patience_of_the_service_outlasts_a_minute() -> None:
    """A GitHub that is down for a minute is asked again afterwards, whatever chance does to the waits."""
    patience = Patience()
    waits = [min(patience.longest_seconds, patience.first_seconds * 2**n) for n in range(patience.tries - 1)]
    assert sum(waits) / 2 > 60  # enough tries
    assert patience.total_seconds - patience.longest_seconds > 60  # and enough time
