"""What the pages need of the service, assembled by the command line's wiring."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request

from gitward.agents.installed import Offer
from gitward.errors import FieldError
from gitward.github.app_registration import AppRegistration
from gitward.github.token_health import TokenReport
from gitward.sessions.model import Instruction, Session
from gitward.sessions.new_session import NewSession
from gitward.sessions.service import SessionService
from gitward.store.database import Database, Transaction
from gitward.telemetry.metrics import Budget, Figures
from gitward.web.live.boards import Boards
from gitward.web.signing_in import Person


class Requests(Protocol):
    """Checks what a person asks for by the same rules as the API, and says what is allowed."""

    async def new_session(self, person: Person, body: Mapping[str, Any]) -> NewSession:
        """:raises InvalidRequest: the API would refuse this body."""

    async def refused(self, person: Person, body: Mapping[str, Any]) -> Sequence[FieldError]:
        """What the API would refuse of this body; nothing is made."""

    async def instruction(self, person: Person, body: Mapping[str, Any]) -> Instruction:
        """Of a follow-up.

        :raises InvalidRequest: the API would refuse this body.
        """

    async def ask_again(self, person: Person, session_id: str) -> None:
        """Before the transaction of a further run of this session.

        :raises InvalidRequest, Unavailable: the person may not work on its repository any more.
        """

    def admit(self, tx: Transaction, person: Person, session: Session, instruction: Instruction | None = None) -> None:
        """:raises InvalidRequest: the operator's settings do not allow this session another run."""


@dataclass(frozen=True, kw_only=True)
class Check:
    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Whose tools a run finds."""

    name: str
    ready: bool | None  # None: only the workers on other machines know
    reason: str | None
    is_default: bool


@dataclass(frozen=True, kw_only=True)
class MirrorSize:
    name: str
    megabytes: int


@dataclass(frozen=True, kw_only=True)
class OperatorFacts:
    """What an operator's page tells beside the database's rows."""

    checks: Sequence[Check]
    figures: Figures | None  # None: the database does not answer
    budgets: Sequence[Budget]  # of GitHub's rate limit
    token_source: str | None  # where this process's tokens come from; None: it needs none
    tokens: Sequence[TokenReport] | None  # what GitHub told of them; None: this process does not ask GitHub
    mirrors: Sequence[MirrorSize] | None  # None: they are on other machines
    mirror_limit: int  # MB of all
    limits: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class WebServices:
    database: Database
    sessions: SessionService
    boards: Boards
    requests: Requests
    stopping: asyncio.Event
    facts: Callable[[], Awaitable[OperatorFacts]]
    offers: Callable[[], Sequence[Offer]]  # blocks shortly: it looks at folders
    default_agent: Callable[[], str | None]  # the same
    environments: Callable[[], Sequence[Environment]]  # the same
    app_registration: AppRegistration | None  # None: its key would not reach the workers
    repositories: Sequence[str] = ()  # those that the operator allows by name
    github: str = "https://github.com"  # where people see repositories


async def _services(request: Request) -> WebServices:
    services = request.app.state.services
    assert isinstance(services, WebServices)
    return services


Served = Annotated[WebServices, Depends(_services)]
