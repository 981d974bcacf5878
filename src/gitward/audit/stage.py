"""The audited service."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from gitward.audit.channels import PLACES, Channel
from gitward.audit.local_service import REPOSITORY, made_up_token, world
from gitward.secrets import Secret
from gitward_standin import StandIn


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What an audit must know of a service."""

    url: str
    jwt: str
    token: Secret
    repository: str
    pid: int  # of the service
    data: Path
    database_url: str
    log: Path | None  # None: the operator did not say where it is
    login_mode: bool
    github: StandIn | None = None  # the demo's, whose inside can be seen too

    @property
    def live(self) -> bool:
        return self.github is None

    @property
    def hidden(self) -> tuple[Channel, ...]:
        """What cannot be seen of it from here."""
        hidden = [channel for channel, place in PLACES.items() if self.live and not place.live]
        if self.log is None:
            hidden.append(Channel.LOG)
        if not self.database_url.startswith("sqlite"):
            hidden.append(Channel.DATABASE_FILES)
        return tuple(hidden)

    @property
    def mode(self) -> str:
        return "login" if self.login_mode else "broker"


@contextlib.asynccontextmanager
async def demo(*, login_mode: bool, **settings: str) -> AsyncIterator[Stage]:
    """The real service beside a stand-in GitHub, with a token that nobody has seen before."""
    token = made_up_token()
    credentials = "login" if login_mode else "broker"
    async with world(token, GITWARD_CREDENTIALS=credentials, **settings) as around:
        around.github.reflect()
        yield Stage(
            url=around.service_url,
            jwt=around.jwt,
            token=Secret(token),
            repository=REPOSITORY,
            pid=around.pid,
            data=around.data,
            database_url=f"sqlite:///{around.data / 'gitward.db'}",
            log=around.log,
            login_mode=login_mode,
            github=around.github,
        )
