from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import warm_parents
from gitward.broker import BrokerConfig, BrokerEvent, Brokers, OpenGrant
from gitward.grants import clock
from gitward.grants.grant import Grant
from gitward.repositories.pack_inspection.inspector import PackInspector
from gitward.sandboxes import Limits
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.secrets import Secret
from gitward_standin import StandIn, Token

from .rig import Inside, inside

TOKEN = "ghp_" + "T0k3nT0k3nT0k3nT0k3nT0k3nT0k3nT0k3nT"
REPOSITORY = "octo/demo"
BRANCH = "gitward/abc123"


class Events:
    """What the broker told, with a way to wait for more."""

    def __init__(self) -> None:
        self.all: list[BrokerEvent] = []
        self._more = asyncio.Event()

    def __call__(self, event: BrokerEvent) -> None:
        self.all.append(event)
        self._more.set()

    async def wait(self, count: int) -> list[BrokerEvent]:
        async with asyncio.timeout(20):
            while len(self.all) < count:
                self._more.clear()
                await self._more.wait()
        return self.all


@contextlib.asynccontextmanager
async def populated(root: Path) -> AsyncIterator[StandIn]:
    """The stand-in, with the session's private repository and another one that the token could push to as well."""
    standin = StandIn(root)
    await standin.start()
    try:
        standin.add_user("dev")
        standin.add_token(TOKEN, Token(login="dev"))
        await standin.add_repository(REPOSITORY, permissions={"dev": "push"})
        await standin.add_repository("octo/other", permissions={"dev": "push"})
        yield standin
    finally:
        await standin.stop()


def new_grant(*, readable: tuple[str, ...] = (), allow_workflows: bool = True, own_writes: bool = False) -> Grant:
    """By default one whose pushes nobody has to look at, with the reach of GITWARD_WRITES=repository."""
    return Grant(
        run_id="run-1",
        repository=REPOSITORY,
        push_ref=f"refs/heads/{BRANCH}",
        readable=readable,
        allow_workflows=allow_workflows,
        own_writes=own_writes,
        target_branch="main" if own_writes else None,
        expires_at=clock.seconds() + 3600,
    )


@pytest.fixture(scope="session", autouse=True)
def _warm_parents() -> Iterator[None]:
    with warm_parents.nursery():
        yield


@pytest.fixture
async def github(tmp_path: Path) -> AsyncIterator[StandIn]:
    async with populated(tmp_path / "github") as standin:
        yield standin


@pytest.fixture
def config(github: StandIn) -> BrokerConfig:
    return BrokerConfig(
        server_url="https://github.com",
        api_url="https://api.github.com",
        upstream_url=github.url,
        upstream_api_url=github.api_url,
    )


@pytest.fixture
async def broker(config: BrokerConfig) -> AsyncIterator[Brokers]:
    broker = Brokers(config, program=warm_parents.program())
    await broker.start()
    yield broker
    await broker.stop()


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def grant() -> Grant:
    return new_grant()


@pytest.fixture
async def opened(broker: Brokers, grant: Grant, events: Events) -> OpenGrant:
    return await broker.open(grant, Secret(TOKEN), events)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where pushes are spooled: the sandbox's own user must get there, which it does not in pytest's folders."""
    folder = Path(tempfile.mkdtemp(prefix="gitward-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
async def inspector(folder: Path) -> AsyncIterator[PackInspector]:
    engine = BubblewrapEngine(slots=2)
    await engine.start()
    yield PackInspector(engine, folder, Limits())
    await engine.stop()


@pytest.fixture
async def tools(tmp_path: Path, opened: OpenGrant) -> AsyncIterator[Inside]:
    """git and gh in a network of their own, with the run's credential, attached to the broker."""
    async with inside(tmp_path / "home", "github.com", "api.github.com") as tools:
        tools.trust(opened)
        tools.present(opened.credential)
        name = await opened.attach([tools.listener])
        yield tools
        await opened.detach(name)
