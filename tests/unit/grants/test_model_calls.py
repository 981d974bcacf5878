"""The tally of a prompt's model calls, as the broker told of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from gitward.grants.model_calls import Api, ModelCall, ModelCalls, Outcome

BEGUN = ModelCall(id="1", host="api.anthropic.com", api=Api.MESSAGES, model="m")


def answered(calls: ModelCalls) -> bool:
    return calls.tally.is_answered


def ended(number: str, outcome: Outcome, status: int | None = 200, error: str = "") -> ModelCall:
    return replace(BEGUN, id=number, outcome=outcome, status=status, error=error)


def test_a_whole_answer_counts_until_something_fails_after_it() -> None:
    calls = ModelCalls()
    calls.begin()
    calls.saw(BEGUN)
    calls.saw(ended("1", Outcome.ANSWERED))
    assert answered(calls)
    calls.saw(ended("2", Outcome.REFUSED, 429, "Slow down."))
    assert not answered(calls)
    assert calls.tally.last_failure is not None
    assert (calls.tally.last_failure.status, calls.tally.last_failure.error) == (429, "Slow down.")
    calls.saw(ended("3", Outcome.ANSWERED))
    assert answered(calls)


def side(number: str, outcome: Outcome, status: int | None = 200) -> ModelCall:
    return replace(ended(number, outcome, status), is_side=True)


def final(number: str) -> ModelCall:
    return replace(ended(number, Outcome.ANSWERED), is_final=True)


def tallied(*calls: ModelCall) -> ModelCalls:
    made = ModelCalls()
    made.begin()
    for call in calls:
        made.saw(call)
    return made


def test_the_work_is_done_by_the_model_s_last_word_whatever_side_calls_do_after_it() -> None:
    failing = side("3", Outcome.REFUSED, 401)
    calls = tallied(ended("1", Outcome.ANSWERED), final("2"), failing)
    assert calls.tally.is_done
    assert (calls.tally.failing, calls.tally.last_failure) == (1, failing)


def test_the_work_is_not_done_while_the_model_asks_for_tools_or_fails() -> None:
    assert not tallied(final("1"), ended("2", Outcome.ANSWERED)).tally.is_done
    assert not tallied(final("1"), ended("2", Outcome.REFUSED, 500)).tally.is_done
    assert not tallied(side("1", Outcome.ANSWERED)).tally.is_done
    assert tallied(final("1"), ended("2", Outcome.ABANDONED)).tally.is_done


def test_a_side_call_that_is_answered_does_not_stand_for_the_work() -> None:
    failure = ended("2", Outcome.REFUSED, 500)
    calls = tallied(ended("1", Outcome.ANSWERED), failure, side("3", Outcome.ANSWERED))
    assert not answered(calls)
    assert calls.tally.last_failure == failure
    calls.saw(ended("4", Outcome.ANSWERED))
    assert answered(calls)


def test_an_agent_may_ask_again_without_tools() -> None:
    assert answered(tallied(ended("1", Outcome.REFUSED, 400, "no tools"), side("2", Outcome.ANSWERED)))


def test_side_calls_count_when_there_is_no_other() -> None:
    calls = tallied(side("1", Outcome.REFUSED, 401))
    assert not answered(calls)
    calls.saw(side("2", Outcome.ANSWERED))
    assert answered(calls)


def test_what_was_before_a_prompt_does_not_count_for_it() -> None:
    calls = ModelCalls()
    calls.saw(BEGUN)
    calls.saw(ended("1", Outcome.ANSWERED))
    calls.begin()
    assert (calls.tally.begun, calls.tally.answered) == (0, 0)


def test_a_call_crosses_the_channel_unchanged() -> None:
    for call in (
        BEGUN,
        ended("2", Outcome.CUT),
        ended("3", Outcome.UNREACHABLE, None, "no way"),
        side("4", Outcome.CUT),
        final("5"),
    ):
        assert ModelCall.of(call.to_data()) == call


async def test_whoever_asks_may_wait_for_calls_that_are_under_way() -> None:
    calls = ModelCalls()
    calls.saw(BEGUN)
    waiting = asyncio.create_task(calls.settled(seconds=30))
    await asyncio.sleep(0)
    assert not waiting.done()
    calls.saw(ended("1", Outcome.ANSWERED))
    await waiting
    calls.saw(BEGUN)
    calls.saw(replace(BEGUN, id="2-1", outcome=Outcome.ANSWERED))  # of a broker that took the first one's place
    await calls.settled(seconds=30)


def test_an_agent_that_hangs_up_proves_nothing() -> None:
    calls = ModelCalls()
    calls.saw(ended("1", Outcome.ANSWERED))
    calls.saw(ended("2", Outcome.ABANDONED))
    assert answered(calls)


def test_a_call_that_goes_on_is_one_call_and_a_sign_of_life() -> None:
    moments = iter(range(100))
    calls = ModelCalls(clock=lambda: float(next(moments)))
    calls.saw(BEGUN)
    before = calls.last_sign
    calls.saw(BEGUN)
    assert (calls.tally.begun, calls.open) == (1, 1)
    assert calls.last_sign > before


async def test_a_wait_for_a_call_that_never_ends_is_bounded() -> None:
    calls = ModelCalls()
    calls.saw(BEGUN)
    await calls.settled(seconds=0.01)
    assert calls.open == 1
