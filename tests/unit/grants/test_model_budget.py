"""When no further request to a model begins, and what its refusal says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gitward.grants.model_budget import MOST_UNKNOWN, Account, ModelBudget, ModelLimits, Spent
from gitward.grants.model_calls import Api, ModelCall, Outcome
from gitward.grants.prices import NO_PRICES, Price, Prices, WrongPrices, read_prices
from gitward.grants.usage import ModelUsage, Tokens, Usage

PRICES = Prices({"m-*": Price(input=2.0, cached=1.0, cache_written=4.0, output=10.0)})
CALL = ModelCall(
    id="7-1",
    host="api.openai.com",
    api=Api.CHAT,
    model="m-1",
    outcome=Outcome.ANSWERED,
    tokens=Tokens(input=100_000),
    is_counted=True,
)
UNKNOWN = replace(CALL, tokens=None, is_counted=False)


def budget(limits: ModelLimits, elsewhere: Spent | None = None, prices: Prices = PRICES) -> ModelBudget:
    account = Account(whose="This budget", limits=limits, elsewhere=elsewhere or Spent())
    return ModelBudget(accounts=(account,), prices=prices)


def passed(given: ModelBudget, call: ModelCall = CALL, most: int = 30) -> tuple[int, str]:
    """How many requests begin and end one after the other, and what the next one is told."""
    for number in range(most):
        message = given.refusal()
        if message is not None:
            return number, message
        given = ModelBudget.of_message(json.loads(json.dumps(given.to_message())))  # as if the broker were replaced
        given = given.begun().ended(call)
    return most, ""


CASES = [
    (ModelLimits(requests=3), None, 3, "This budget of 3 model requests is used up."),
    (ModelLimits(tokens=250_000), None, 3, "This budget of 250,000 tokens is used up: 300,000 were counted."),
    (ModelLimits(tokens=200_000), None, 2, "This budget of 200,000 tokens is used up: 200,000 were counted."),
    (ModelLimits(usd=0.5), None, 3, "This budget of 0.50 US dollars is used up: 0.60 were counted."),
    (ModelLimits(requests=3), Spent(requests=2), 1, "3 model requests"),
    (ModelLimits(requests=3), Spent(requests=3), 0, "3 model requests"),
    (ModelLimits(requests=3), Spent(requests=-1), 4, "3 model requests"),  # its own of yesterday
    (ModelLimits(tokens=250_000), Spent(tokens=100_000), 2, "300,000 were counted"),
    (ModelLimits(usd=0.5), Spent(usd=0.2), 2, "0.60 were counted"),
    (ModelLimits(), None, 30, ""),
]


@pytest.mark.parametrize(("limits", "elsewhere", "number", "said"), CASES)
def test_no_request_begins_at_the_limit(limits: ModelLimits, elsewhere: Spent | None, number: int, said: str) -> None:
    begun, message = passed(budget(limits, elsewhere))
    assert begun == number
    assert said in message


def test_requests_under_way_count_as_begun() -> None:
    given = budget(ModelLimits(requests=2)).begun().begun()
    assert given.refusal() is not None


@pytest.mark.parametrize(
    ("limits", "call", "number"),
    [
        (ModelLimits(tokens=10**9), UNKNOWN, MOST_UNKNOWN),
        (ModelLimits(usd=10**5), UNKNOWN, MOST_UNKNOWN),
        (ModelLimits(usd=10**5), replace(CALL, model="unheard-of"), 1),
        (ModelLimits(requests=25), UNKNOWN, 25),
        (ModelLimits(tokens=10**9), replace(CALL, model="unheard-of"), 30),
        (ModelLimits(usd=1), replace(UNKNOWN, is_counted=True), 30),  # refused by the provider: free
    ],
)
def test_what_cannot_be_counted_cannot_be_limited(limits: ModelLimits, call: ModelCall, number: int) -> None:
    """Else an agent that hangs up before the numbers come could go on for ever."""
    assert passed(budget(limits), call)[0] == number


def test_near_a_limit_requests_wait_for_those_under_way() -> None:
    """The first one goes alone, for nobody knows yet what one uses; then each has room for twice the largest."""
    given = budget(ModelLimits(tokens=1_000_000))
    assert not given.is_tight
    given = given.begun()
    assert given.is_tight
    given = given.ended(CALL)  # 100,000: 900,000 are left
    for _ in range(4):
        assert not given.is_tight
        given = given.begun()
    assert given.is_tight  # for five times 200,000 are more
    while given.own.open:
        given = given.ended(CALL)
    assert not given.is_tight  # alone a request may begin as long as something is left


@pytest.mark.parametrize("limits", [ModelLimits(requests=1), ModelLimits()])
def test_a_limit_of_requests_holds_without_waiting(limits: ModelLimits) -> None:
    assert not budget(limits).begun().begun().is_tight


def test_dollars_are_kept_free_as_tokens_are() -> None:
    given = budget(ModelLimits(usd=1.0)).begun().ended(CALL).begun()  # 0.2 each
    assert not given.is_tight
    assert given.begun().is_tight
    assert budget(ModelLimits(usd=1.0), Spent(usd=0.5)).begun().ended(CALL).begun().is_tight


def test_the_sums_of_a_run_go_on_at_another_broker() -> None:
    used = ModelUsage(model="m-1", requests=3, unknown_requests=1, tokens=Tokens(input=5, output=2), usd=0.25)
    other = ModelUsage(model="x", requests=1, tokens=Tokens(input=1))
    spent = Spent.of(Usage(by_model=(used, other), open=2), PRICES)
    assert spent == Spent(requests=6, unknown=1, tokens=8, usd=0.25, unpriced="x")


def test_prices_are_found_by_name_and_by_the_longest_beginning(tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    one = {"input": 1, "output": 2}
    file.write_text(json.dumps({"date": "2026-11-29", "models": {"m-1": one, "m-*": one, "m-1-*": one}}))
    prices = read_prices(file)
    found = [prices.entry(name) for name in ("m-1", "m-2", "m-1-x", "n", "")]
    assert found == ["m-1", "m-*", "m-1-*", None, None]
    million = 10**6
    assert prices.cost("m-1", Tokens(input=million, cached=million, cache_written=million, output=million)) == 5.0
    assert prices.cost("n", Tokens(input=1)) is None
    assert not NO_PRICES
    assert read_prices(None) is NO_PRICES


@pytest.mark.parametrize(
    "document",
    [
        *("not JSON", "[]", "{}", '{"models": {}}', '{"models": []}', '{"models": {"m": 3}}', '{"models": {"*": {}}}'),
        '{"models": {"m": {"input": 1}}}',
        '{"models": {"m": {"input": 1, "output": -1}}}',
        '{"models": {"m": {"input": 1, "output": true}}}',
        '{"models": {"m": {"input": 1, "output": "2"}}}',
        '{"models": {"m": {"input": 1, "output": NaN}}}',
        '{"models": {"m": {"input": 1, "output": 2, "other": 3}}}',
        json.dumps({"models": {f"m{number}": {"input": 1, "output": 2} for number in range(301)}}),
    ],
)
def test_a_wrong_list_of_prices_is_refused(tmp_path: Path, document: Any) -> None:
    file = tmp_path / "prices.json"
    file.write_text(document)
    with pytest.raises(WrongPrices):
        read_prices(file)


def test_a_list_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongPrices, match="cannot be read"):
        read_prices(tmp_path / "prices.json")
