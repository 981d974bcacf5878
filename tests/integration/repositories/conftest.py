from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

import warm_parents
from gitward.broker import Brokers
from gitward.repositories.mirrors import Mirrors
from gitward.sandboxes.engine import BubblewrapEngine
from gitward_standin import StandIn, Token
from mirror_world import TOKEN, World, broker_config
from workbench import Workbench, workbench


@pytest.fixture
def data() -> Iterator[Path]:
    """A data folder that a sandbox's own user can get to."""
    folder = Path(tempfile.mkdtemp(prefix="gitward-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session", autouse=True)
def _warm_parents() -> Iterator[None]:
    with warm_parents.nursery():
        yield


@pytest.fixture
async def github(tmp_path: Path) -> AsyncIterator[StandIn]:
    standin = StandIn(tmp_path / "github")
    await standin.start()
    standin.add_user("dev")
    standin.add_token(TOKEN, Token(login="dev"))
    await standin.add_repository("octo/demo", permissions={"dev": "push"})
    yield standin
    await standin.stop()


@pytest.fixture
async def broker(github: StandIn) -> AsyncIterator[Brokers]:
    broker = Brokers(broker_config(github.url, github.api_url), program=warm_parents.program())
    await broker.start()
    yield broker
    await broker.stop()


@pytest.fixture
async def engine() -> AsyncIterator[BubblewrapEngine]:
    engine = BubblewrapEngine(slots=12)
    await engine.start()
    yield engine
    await engine.stop()


@pytest.fixture
async def world(data: Path, github: StandIn, broker: Brokers, engine: BubblewrapEngine) -> World:
    return World(data, github, broker, engine)


@pytest.fixture
async def mirrors(world: World) -> AsyncIterator[Mirrors]:
    async with world.mirrors() as mirrors:
        yield mirrors


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bench() -> AsyncIterator[Workbench]:
    async with workbench() as made:
        yield made
