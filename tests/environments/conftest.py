"""The environments of scripts/environments, and what it takes to add more."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from gitward.environments.adding import Adder
from gitward.environments.store import Store
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.settings.environment import registry_environment

LIMIT = 2 << 30


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that a sandbox's user can pass through, on the disk of the environments."""
    found = Path(tempfile.mkdtemp(prefix="gitward-test-", dir="/var/tmp"))
    found.chmod(0o755)
    yield found
    shutil.rmtree(found)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engine() -> AsyncIterator[BubblewrapEngine]:
    engine = BubblewrapEngine(slots=4)
    await engine.start()
    yield engine
    await engine.stop()


@pytest.fixture
def adder(engine: BubblewrapEngine, place: Path) -> Adder:
    """Its messages are in `place/told`."""

    def tell(line: str) -> None:
        with (place / "told").open("a") as file:
            file.write(f"{line}\n")

    return Adder(
        store=Store(place / "store"),
        engine=engine,
        limit_bytes=LIMIT,
        environment={**registry_environment(), "HOME": str(place)},
        tell=tell,
    )
