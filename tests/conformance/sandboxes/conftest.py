"""One suite for all engines; bubblewrap is the only one so far.

Tests share one event loop and one engine, unless they need an engine without a wall.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from gitward.sandboxes.engine import BubblewrapEngine
from made_environments import image_of

from .rig import Inside, Rig, reachable_folder


@pytest.fixture
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    name = request.config.getoption("environment")
    with reachable_folder() as folder:
        yield Rig(folder, image_of(name) if name else None)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engine() -> AsyncIterator[BubblewrapEngine]:
    """An engine with all its walls."""
    engine = BubblewrapEngine(slots=4)
    await engine.start()
    yield engine
    await engine.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def inside(rig: Rig, engine: BubblewrapEngine) -> AsyncIterator[Inside]:
    """A sandbox with all its walls."""
    async with rig.opened(engine) as inside:
        yield inside
