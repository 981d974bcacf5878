"""Pages behind the sign-in, and a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI

from browser import browser, pages_of
from gitward.identity.authorization import local_holder
from gitward.store.database import Database
from gitward.web.signing_in import SigningIn
from gitward.web.signing_in.hosts import Hosts


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.module.__name__.rpartition(".")[2] == "test_local_link" and "database_kind" in metafunc.fixturenames:
        metafunc.parametrize("database_kind", ["sqlite", "postgres"])


@pytest.fixture
def signing_in(database: Database) -> SigningIn:
    return SigningIn(database, hosts=Hosts(), operators=(local_holder("root"),))


@pytest.fixture
def app(signing_in: SigningIn) -> FastAPI:
    return pages_of(signing_in)


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    async with browser(app) as client:
        yield client
