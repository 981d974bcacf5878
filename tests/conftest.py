"""Fixtures that many tests share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gitward.engine.queue import DbosQueue
from gitward.engine.worker import migrate_engine
from gitward.sessions.journal import Journal
from gitward.sessions.model import Owner
from gitward.sessions.service import SessionService
from gitward.sessions.waiting import RunLimits
from gitward.store.database import Database
from gitward.store.migrate import migrate
from gitward.store.notify import Notifier
from tests_support import Backend


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'gitward.db'}"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database with every table, ours and the engine's."""
    database = Database(database_url)
    await migrate(database)
    await asyncio.to_thread(migrate_engine, database)
    yield database
    await database.stop()


@pytest.fixture
async def backend(database: Database) -> AsyncIterator[Backend]:
    queue = DbosQueue(database)
    notifier = Notifier()
    journal = Journal(notifier)
    yield Backend(
        database=database,
        notifier=notifier,
        journal=journal,
        queue=queue,
        sessions=SessionService(queue=queue, journal=journal, limits=RunLimits(total=4, per_user=2)),
    )
    await asyncio.to_thread(queue.close)


@pytest.fixture
def alice() -> Owner:
    return Owner(issuer="gitward", subject="alice")


@pytest.fixture
def bob() -> Owner:
    return Owner(issuer="gitward", subject="bob")
