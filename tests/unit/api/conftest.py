"""The application and clients of two users."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest

from api import Api, make_api
from gitward.sessions.model import Owner
from tests_support import Backend

# What asks the database in its own words passes on Postgres too.
_ON_BOTH = ("test_sessions", "test_publishing", "test_events", "test_idempotency", "test_owners", "test_statements")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.module.__name__.rpartition(".")[2] in _ON_BOTH and "database_kind" in metafunc.fixturenames:
        metafunc.parametrize("database_kind", ["sqlite", "postgres"])


@pytest.fixture
async def api(backend: Backend) -> Api:
    return make_api(backend)


@pytest.fixture
async def http(api: Api, alice: Owner) -> AsyncIterator[httpx2.AsyncClient]:
    """Alice's."""
    async with api.client(alice) as client:
        yield client


@pytest.fixture
async def bob_http(api: Api, bob: Owner) -> AsyncIterator[httpx2.AsyncClient]:
    async with api.client(bob) as client:
        yield client


@pytest.fixture
async def stranger(api: Api) -> AsyncIterator[httpx2.AsyncClient]:
    """Has no token."""
    async with api.client() as client:
        yield client
