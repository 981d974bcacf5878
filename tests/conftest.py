"""Fixtures that many tests share."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import hypothesis
import pytest

from gitward.engine.queue import DbosQueue
from gitward.engine.worker import migrate_engine
from gitward.sessions.journal import Journal
from gitward.sessions.model import Owner
from gitward.sessions.places import Places, RunLimits
from gitward.sessions.service import SessionService
from gitward.store.database import Database
from gitward.store.migrate import migrate
from gitward.store.notify import Notifier
from tests_support import Backend

# The same examples on every machine, and none judged by its time: machines are shared.
hypothesis.settings.register_profile("gitward", deadline=None, derandomize=True)
hypothesis.settings.load_profile("gitward")


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'gitward.db'}"


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with every table, ours and the engine's; made once, because that takes longer than a test."""
    path = tmp_path_factory.mktemp("migrated") / "gitward.db"

    async def make() -> None:
        database = Database(f"sqlite:///{path}")
        await migrate(database)
        await asyncio.to_thread(migrate_engine, database)
        await database.stop()

    asyncio.run(make())
    return path


@pytest.fixture
async def database(database_url: str, migrated: Path) -> AsyncIterator[Database]:
    """A database of the test's own."""
    database = Database(database_url)
    shutil.copyfile(migrated, str(database.url.database))
    yield database
    await database.stop()


@pytest.fixture
async def backend(database: Database) -> AsyncIterator[Backend]:
    queue = DbosQueue(database)
    notifier = Notifier()
    journal = Journal(notifier)
    places = Places(queue, RunLimits(total=100, per_user=50))
    yield Backend(
        database=database,
        notifier=notifier,
        journal=journal,
        queue=queue,
        places=places,
        sessions=SessionService(places=places, journal=journal),
    )
    await asyncio.to_thread(queue.close)


@pytest.fixture
def alice() -> Owner:
    return Owner(issuer="gitward", subject="alice")


@pytest.fixture
def bob() -> Owner:
    return Owner(issuer="gitward", subject="bob")
