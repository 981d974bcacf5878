"""Agents that scripts/agents has installed, and a stand-in model for each test."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from gitward.agents.agents_file import Catalogue
from gitward.sandboxes.bubblewrap import BubblewrapEngine
from gitward.standin.model import StandInModel

from .stage import CHECKOUT, KEY

PROGRAMS = Path(__file__).parents[2] / ".tools" / "agents"


@pytest.fixture(scope="session")
def programs() -> Path:
    """A missing one fails its test: run scripts/agents."""
    return PROGRAMS


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue()


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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[BubblewrapEngine]:
    engine = BubblewrapEngine(slots=2)
    await engine.start()
    yield engine
    await engine.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def model(folder: Path) -> AsyncIterator[StandInModel]:
    model = StandInModel.demo(folder, checkout=CHECKOUT, key=KEY)
    await model.start()
    yield model
    await model.stop()
