"""The services that routes use, assembled by the command line's wiring."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from gitward.agents.installed import Agents
from gitward.api.operator_limits import OperatorLimits
from gitward.environments.catalogue import Environments
from gitward.errors import Unavailable
from gitward.grants.prices import NO_PRICES, Prices
from gitward.identity.authorization import Holder, Rule
from gitward.identity.collaborators import Collaborators
from gitward.identity.verifier import Verifier
from gitward.sessions.live_events import LiveEvents
from gitward.sessions.service import SessionService
from gitward.store.database import Database


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that `/ready` looks at. The pages have a value like it: pages and API do not know each other."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, kw_only=True)
class Services:
    database: Database
    feeds: LiveEvents
    sessions: SessionService
    verifier: Verifier
    checks: Callable[[], Awaitable[list[Check]]]
    stopping: asyncio.Event  # set when the server shuts down: live streams end
    metrics: Callable[[], Awaitable[bytes]]
    repo_globs: tuple[str, ...] = ()  # lower case; empty: every repository
    operators: tuple[Holder, ...] = ()  # who may read the metrics from another machine
    is_proxied: bool = False  # people reach it at another address than its own: no caller is taken for a local one
    reach: OperatorLimits = field(default_factory=OperatorLimits)  # how far sessions may reach at GitHub
    agents: Agents | None = None  # None: this server has none
    agents_elsewhere: bool = False  # only workers on other machines know which of them are ready
    environments: Environments = field(default_factory=lambda: Environments(Path("/nonexistent")))
    prices: Prices = NO_PRICES  # of models
    collaborators: Collaborators | None = None  # None: GitHub is not asked who may use a repository
    rules: tuple[Rule, ...] = ()  # who may use which; empty: everybody all that is served


async def _services(request: Request) -> Services:
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


Served = Annotated[Services, Depends(_services)]


async def _with_room(services: Served) -> Services:
    if services.database.is_low:
        raise Unavailable("The disk of the database is full: Gitward accepts nothing new until there is room.")
    return services


ServedWithRoom = Annotated[Services, Depends(_with_room)]  # for what begins something: what ends it is always taken
