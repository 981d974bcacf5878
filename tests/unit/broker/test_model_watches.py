"""Which requests to models begin."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gitward.broker.policy.model_refusals import ModelRefused
from gitward.broker.server.inject.model_watch import ModelWatches
from gitward.broker.server.reporter import Reporter
from gitward.grants.channel import Message
from gitward.grants.model_budget import Account, ModelBudget, ModelLimits
from gitward.grants.model_calls import Api


def watches(sent: list[Any], *, requests: int) -> ModelWatches:
    async def send(message: Message) -> None:
        sent.append((message["event"]["type"], message["event"]["data"]))

    account = Account(whose="This budget", limits=ModelLimits(requests=requests))
    return ModelWatches(Reporter("run-1", send), ModelBudget(accounts=(account,)))


async def test_of_requests_that_wait_for_their_turn_only_those_begin_that_the_budget_has_left() -> None:
    """All of them came while there was one left."""
    sent: list[Any] = []
    made = watches(sent, requests=3)
    everybody_waits = asyncio.Barrier(5)

    async def turn() -> None:
        await everybody_waits.wait()

    made._pace.turn = turn  # type: ignore[method-assign]  # all of them wait for the same moment
    results = await asyncio.gather(*(made.new(Api.CHAT, "host") for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(each, ModelRefused) for each in results) == 2
    kinds = [kind for kind, _ in sent]
    assert (kinds.count("model.call"), kinds.count("budget.reached")) == (3, 1)


async def test_what_others_spent_limits_a_run_that_goes_on() -> None:
    made = watches([], requests=3)
    await made.new(Api.CHAT, "host")
    limits = Account(whose="This budget", limits=ModelLimits(requests=1))
    made.tell(ModelBudget(accounts=(limits,)))  # it says nothing of the run's own, which may be on the way
    with pytest.raises(ModelRefused, match="1 model requests is used up"):
        await made.new(Api.CHAT, "host")
