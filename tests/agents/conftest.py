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
