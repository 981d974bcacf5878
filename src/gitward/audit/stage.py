"""The audited service."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gitward.agents.model_hosts import KNOWN
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
    keys: Mapping[str, Secret] = field(default_factory=dict)  # of models, by the name of their variable or host
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
    keys = {host.variable: f"sk-audit-{secrets.token_urlsafe(32)}" for host in KNOWN}
    async with world(token, GITWARD_CREDENTIALS=credentials, **{**keys, **settings}) as around:
        around.github.reflect()
        yield Stage(
            url=around.service_url,
            jwt=around.jwt,
            token=Secret(token),
            keys={name: Secret(key) for name, key in keys.items()},
            repository=REPOSITORY,
            pid=around.pid,
            data=around.data,
            database_url=f"sqlite:///{around.data / 'gitward.db'}",
            log=around.log,
            login_mode=login_mode,
            github=around.github,
        )
