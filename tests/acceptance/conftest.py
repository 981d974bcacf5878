"""One service for each way to authenticate, shared by the tests of a process: each test has its own repository."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from rig import Client, Rig, rig, warm_rig


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All acceptance tests run on the loop that holds the stand-in."""
    for item in items:
        test = getattr(item, "function", None)
        if "acceptance" in item.path.parts and inspect.iscoroutinefunction(test):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """For data folders of workers: unlike `tmp_path`, others may pass through it."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o711)
        yield Path(made)


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=["broker", "login"])
async def service(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    async with rig(GITWARD_CREDENTIALS=request.param) as made:
        yield made


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def calm(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """A test that fails in the middle of an outage, or with a gate still closed, spoils no other."""
    shared = [request.getfixturevalue(name) for name in ("service", "there") if name in request.fixturenames]
    yield
    for each in shared:
        if isinstance(each, Rig):  # a test may call a parameter so
            await each.calm()


@pytest_asyncio.fixture(loop_scope="session")
async def alice_client(service: Rig) -> AsyncIterator[Client]:
    async with service.client("alice") as client:
        yield client


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def there() -> AsyncIterator[Rig]:
    """One service in the way that is usual, for tests to which neither the way to authenticate nor that of its start
    makes a difference."""
    async with warm_rig() as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def client(there: Rig) -> AsyncIterator[Client]:
    async with there.client() as made:
        yield made
