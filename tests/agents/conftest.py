"""A theatre for each test: a folder, an engine, and a stand-in model of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from gitward.sandboxes.engine import BubblewrapEngine
from gitward_standin.language_model import StandInModel

from .house import House, house
from .stage import CHECKOUT, KEY, Theatre


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that an unprivileged user can pass through, which pytest's are not for root's children."""
    folder = Path("/tmp") / f"gitward-agents-{os.getpid()}-{os.urandom(4).hex()}"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest_asyncio.fixture
async def theatre(folder: Path) -> AsyncIterator[Theatre]:
    engine = BubblewrapEngine(slots=2)
    await engine.start()
    model = StandInModel.demo(folder, checkout=CHECKOUT, key=KEY)
    await model.start()
    yield Theatre(folder=folder, engine=engine, model=model)
    await model.stop()
    await engine.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[House]:
    """A service with real agents, for all tests of a module."""
    async with house() as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def at_home(shared: House) -> AsyncIterator[House]:
    shared.calm()
    yield shared
    await shared.service.calm()
