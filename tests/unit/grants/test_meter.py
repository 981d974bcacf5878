"""The sums of a run: each call counts once, whatever becomes of its broker and its worker."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gitward.grants.meter import Meter
from gitward.grants.model_calls import Api, ModelCall, Outcome
from gitward.grants.prices import Price, Prices
from gitward.grants.usage import MOST_MODELS, Tokens, Usage

PRICES = Prices({"m-*": Price(input=2.0, cached=1.0, cache_written=4.0, output=10.0)})
BEGUN = ModelCall(id="7-1", host="api.openai.com", api=Api.CHAT)
USED = Tokens(input=100, cached=50, output=10)


def ended(id_: str, tokens: Tokens | None = USED, *, model: str = "m-1", known: bool = True) -> ModelCall:
    return replace(BEGUN, id=id_, outcome=Outcome.ANSWERED, model=model, tokens=tokens, is_counted=known)


def numbers(usage: Usage) -> tuple[int, int, int]:
    return usage.requests, usage.unknown_requests, usage.tokens.total


def test_calls_are_summed_by_model_with_their_cost() -> None:
    meter = Meter(prices=PRICES)
    for call in (BEGUN, ended("7-1"), ended("7-2"), ended("7-3", model="x")):
        meter.saw(call)
    assert [(each.model, each.requests, each.tokens.total) for each in meter.usage.by_model] == [
        ("m-1", 2, 320),
        ("x", 1, 160),
    ]
    assert meter.usage.by_model[0].usd == pytest.approx(2 * (100 * 2 + 50 * 1 + 10 * 10) / 1e6)
    assert meter.usage.usd is None  # x has no price
    assert meter.usage.known_usd == meter.usage.by_model[0].usd


def test_what_is_under_way_is_a_request_whose_tokens_are_unknown() -> None:
    meter = Meter(prices=PRICES)
    meter.saw(BEGUN)
    meter.saw(BEGUN)  # a sign of life
    assert numbers(meter.usage) == (1, 1, 0)
    meter.saw(ended("7-1"))
    assert numbers(meter.usage) == (1, 0, 160)


def test_a_replaced_broker_s_calls_are_unknown_and_count_once() -> None:
    meter = Meter(prices=PRICES)
    meter.saw(BEGUN)
    meter.saw(replace(BEGUN, id="7-2"))
    meter.saw(replace(BEGUN, id="8-1"))
    meter.saw(ended("8-1"))
    assert numbers(meter.usage) == (3, 2, 160)
    meter.saw(ended("7-2"))  # told late
    assert numbers(meter.usage) == (3, 1, 320)
    meter.close()
    assert numbers(meter.usage) == (3, 1, 320)


def test_another_attempt_goes_on_from_the_sums_of_the_earlier() -> None:
    first = Meter(prices=PRICES)
    first.saw(ended("7-1"))
    first.saw(replace(BEGUN, id="7-2"))
    second = Meter(Usage.of_stored(first.usage.to_stored()), prices=PRICES)
    second.saw(ended("7-1"))  # another broker's call, with the same id by chance
    second.close()
    assert numbers(second.usage) == (3, 1, 320)


def test_partly_told_tokens_count_and_the_call_is_unknown() -> None:
    meter = Meter(prices=PRICES)
    meter.saw(ended("7-1", Tokens(input=100), known=False))
    meter.saw(ended("7-2", None, known=True))  # refused: it cost nothing
    assert numbers(meter.usage) == (2, 1, 100)


def test_names_of_models_are_bounded() -> None:
    meter = Meter(prices=PRICES)
    for number in range(2 * MOST_MODELS):
        meter.saw(ended(f"7-{number}", model=f"invented-{number}"))
    assert len(meter.usage.by_model) == MOST_MODELS + 1
    assert meter.usage.by_model[-1].model == "other"
    assert numbers(meter.usage) == (2 * MOST_MODELS, 0, 2 * MOST_MODELS * 160)


def test_turns_take_seconds_and_their_sum_is_kept() -> None:
    now = [0.0]
    meter = Meter(Usage(seconds=5.0), prices=PRICES, clock=lambda: now[0])
    meter.turn_begins()
    now[0] = 3.0
    assert meter.usage.seconds == 8.0
    meter.turn_ends()
    now[0] = 9.0
    assert Usage.of_stored(meter.usage.to_stored()).seconds == 8.0
