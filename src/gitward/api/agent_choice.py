"""Which agent a prompt is for: the one that it names, or the only one that is ready."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from gitward.agents.catalogue import Agent, ModelSetting, NotAModel, check_model
from gitward.agents.installed import Agents
from gitward.api.services import Services
from gitward.errors import FieldError, InvalidRequest
from gitward.grants.prices import Prices
from gitward.sessions.model import Budget, Instruction

NONE_HERE = "this server has no agents; send a command"


async def with_agent(served: Services, instruction: Instruction) -> Instruction:
    """The instruction with its agent named; one without a prompt as it is.

    :raises InvalidRequest: there is no usable agent for it; it says what to do.
    """
    if instruction.prompt is None:
        return instruction
    if served.agents is None:
        raise _refusal("prompt", NONE_HERE)
    agent = await asyncio.to_thread(_usable, served.agents, instruction.agent, here=not served.agents_elsewhere)
    _check_model(agent, instruction.model)
    model = instruction.model or agent.model
    _check_budget(served.prices, instruction.budget, model)
    return replace(instruction, agent=agent.name, model=model)


def _usable(agents: Agents, name: str | None, *, here: bool) -> Agent:
    """Blocks shortly: it looks at folders.

    :param here: whether this machine's folders and keys tell something about it.
    """
    name = name or agents.default()
    if name is None:
        raise _refusal("agent", _which(agents) if here else f"must be named: {', '.join(sorted(agents.names))}")
    agent = agents.get(name)
    if agent is None:
        raise _refusal("agent", f"must be one of {', '.join(sorted(agents.names))}")
    problem = agents.problem(agent) if here else None
    if problem is not None:
        raise _refusal("agent", problem)
    return agent


def _which(agents: Agents) -> str:
    """Why there is no default."""
    offers = agents.offers()
    ready = [offer.name for offer in offers if offer.ready]
    if ready:
        return f"must be named, because several are ready: {', '.join(ready)}"
    reasons = " ".join(offer.reason for offer in offers if offer.reason)
    return f"no agent is ready. {reasons}" if reasons else NONE_HERE


def _check_model(agent: Agent, model: str | None) -> None:
    if model is None:
        return
    if agent.model_setting is ModelSetting.NONE:
        raise _refusal("model", f"must be omitted: {agent.title} offers no choice")
    try:
        check_model(model)
    except NotAModel as error:
        raise _refusal("model", str(error)) from None


def _check_budget(prices: Prices, budget: Budget | None, model: str | None) -> None:
    """What has no price cannot be limited in dollars. What the agent itself chooses shows later."""
    if budget is None or budget.usd is None:
        return
    if not prices:
        raise _refusal("budget.usd", "needs GITWARD_PRICES on this server; limit requests or tokens instead")
    if model is not None and prices.entry(model) is None:
        raise _refusal("budget.usd", f"needs a price of {model} in GITWARD_PRICES; limit requests or tokens instead")


def _refusal(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(
        "No agent of this server can take this prompt.", errors=[FieldError(field=field, message=message)]
    )
