"""A reader in another process is woken by a commit at once, also after the database was away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gitward.sessions.model import Owner
from gitward.store.database import Database
from gitward.store.notify import Notifier
from gitward.store.relay import Relay
from outside import look
from tests_support import Backend

NEVER = 60.0  # a reader that is not woken would wait so long


@pytest.fixture
def database_kind() -> str:
    return "postgres"


@asynccontextmanager
async def relayed(database: Database, notifier: Notifier) -> AsyncIterator[None]:
    relay = Relay(database, notifier)
    await relay.start()
    try:
        yield
    finally:
        await relay.stop()


def listeners(database: Database) -> int:
    """Those that listen by now: with a word of the database that it is done."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND state = 'idle'"
    return int(look(database, f"{query} AND datname = current_database()")[0][0])


async def until_listening(database: Database, number: int) -> None:
    async with asyncio.timeout(300):
        while await asyncio.to_thread(listeners, database) < number:
            await asyncio.sleep(0.02)


async def test_a_commit_wakes_the_readers_of_other_processes(backend: Backend, alice: Owner) -> None:
    """Two notifiers stand for two processes; only the rows and Postgres connect them."""
    elsewhere = Notifier()
    session = await backend.create(alice)
    async with relayed(backend.database, backend.notifier), relayed(backend.database, elsewhere):
        await until_listening(backend.database, 2)
        with elsewhere.subscribe(session.id) as news, elsewhere.subscribe("ses_other") as others:
            await news.wait(0.05)
            await others.wait(0.05)  # woken when it began to listen
            with backend.database.transaction() as tx:
                backend.sessions.cancel(tx, alice, session.id)
            assert await news.wait(NEVER)
            assert not await others.wait(0.1)


async def test_connections_that_break_are_opened_again(backend: Backend, alice: Owner) -> None:
    """Every connection of the database is ended by its server; readers are woken then, and by the next commit."""
    elsewhere = Notifier()
    session = await backend.create(alice)
    async with relayed(backend.database, backend.notifier), relayed(backend.database, elsewhere):
        await until_listening(backend.database, 2)
        look(
            backend.database,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'gitward notifications'",
        )
        with elsewhere.subscribe(session.id) as news:
            await until_listening(backend.database, 2)
            await news.wait(1)
            async with asyncio.timeout(300):
                while True:  # the teller's own connection may be on its way
                    backend.notifier.notify(session.id)
                    if await news.wait(0.2):
                        break


async def test_nobody_hears_of_what_it_told_itself(backend: Backend, alice: Owner) -> None:
    session = await backend.create(alice)
    async with relayed(backend.database, backend.notifier):
        await until_listening(backend.database, 1)
        with backend.notifier.subscribe(session.id) as news:
            await news.wait(0.05)
            backend.notifier.notify(session.id)
            assert await news.wait(NEVER)
            assert not await news.wait(0.2)
