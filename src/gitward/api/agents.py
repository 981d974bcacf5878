"""The agents that prompts can be given to."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from pydantic import BaseModel

from gitward.agents.installed import Agents, Offer
from gitward.api.auth import Caller
from gitward.api.problems import documented
from gitward.api.services import Served
from gitward.errors import Code

router = APIRouter(tags=["agents"])


class AgentOut(BaseModel):
    """One agent of this server."""

    name: str
    title: str
    version: str | None  # of its package; null: the operator installed it
    model: str | None  # of a prompt that names none; null: the agent's own choice
    ready: bool | None  # null: the workers are on other machines, and only they know
    reason: str | None  # why it is not ready, and what the operator can do

    @classmethod
    def of(cls, offer: Offer) -> AgentOut:
        return cls(
            name=offer.name,
            title=offer.title,
            version=offer.version,
            model=offer.model,
            ready=offer.ready,
            reason=offer.reason,
        )


class AgentsOut(BaseModel):
    """All agents of this server. The same for every caller."""

    default: str | None  # the agent of a prompt that names none; null: each must name one
    agents: list[AgentOut]


@router.get("/agents", responses=documented(Code.UNAUTHENTICATED, Code.INVALID_REQUEST, Code.UNAVAILABLE))
async def list_agents(caller: Caller, served: Served) -> AgentsOut:
    """Which agents there are, and which of them are ready."""
    del caller  # anybody who may call at all
    if served.agents is None:
        return AgentsOut(default=None, agents=[])
    return await asyncio.to_thread(_all, served.agents, here=not served.agents_elsewhere)


def _all(agents: Agents, *, here: bool) -> AgentsOut:
    offers = [AgentOut.of(offer if here else offer.elsewhere()) for offer in agents.offers()]
    return AgentsOut(default=agents.default() if here else agents.named_default, agents=offers)
