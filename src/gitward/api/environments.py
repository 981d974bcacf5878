"""The environments that sessions can name."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from pydantic import BaseModel

from gitward.api.auth import Caller
from gitward.api.problems import documented
from gitward.api.services import Served
from gitward.environments.catalogue import Environments, Offer
from gitward.errors import Code

router = APIRouter(tags=["environments"])


class EnvironmentOut(BaseModel):
    """One environment of this server."""

    name: str
    digest: str | None  # of its content; null: the host, or the workers are on other machines
    bytes: int | None
    ready: bool | None  # null: the workers are on other machines, and only they know
    reason: str | None  # why it is not ready, and what the operator can do

    @classmethod
    def of(cls, offer: Offer) -> EnvironmentOut:
        return cls(name=offer.name, digest=offer.digest, bytes=offer.bytes, ready=offer.ready, reason=offer.reason)


class EnvironmentsOut(BaseModel):
    """All environments of this server. The same for every caller."""

    default: str  # of a session that names none
    environments: list[EnvironmentOut]


@router.get("/environments", responses=documented(Code.UNAUTHENTICATED, Code.INVALID_REQUEST, Code.UNAVAILABLE))
async def list_environments(caller: Caller, served: Served) -> EnvironmentsOut:
    """Which environments there are: whose tools the setup and the instruction of a run can find."""
    del caller  # anybody who may call at all
    return await asyncio.to_thread(_all, served.environments, here=not served.agents_elsewhere)


def _all(environments: Environments, *, here: bool) -> EnvironmentsOut:
    offers = [EnvironmentOut.of(offer) for offer in environments.offers(here=here)]
    return EnvironmentsOut(default=environments.default, environments=offers)
