from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from company import Company
from gitward.sandboxes.engine import BubblewrapEngine

from . import tools


@pytest.fixture(scope="package")
def folder() -> Iterator[Path]:
    """A folder that an unprivileged user can pass through, which pytest's are not for root's children."""
    folder = Path("/tmp") / f"gitward-egress-{os.getpid()}-{os.urandom(4).hex()}"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="package")
def company(folder: Path) -> Company:
    return Company(folder)


@pytest.fixture(scope="package")
def tool_folder(folder: Path) -> Path:
    return tools.install(folder)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tool_folder: Path) -> AsyncIterator[BubblewrapEngine]:
    engine = BubblewrapEngine(slots=2, tool_paths=(tool_folder,))
    await engine.start()
    yield engine
    await engine.stop()
