"""Brings a database's tables up to date: ours and the engine's."""

from __future__ import annotations

import asyncio

import sqlalchemy as sa
from dbos import DBOS

from gitward.errors import SettingsError
from gitward.store.database import Database
from gitward.store.migrate import migrate

_TRIES, _PAUSE_SECONDS = 40, 0.25


async def migrate_all(database: Database) -> None:
    """Safe to run twice, and from two machines at once.

    :raises SettingsError: the database cannot be used.
    """
    for left in reversed(range(_TRIES)):
        try:
            await migrate(database)
            await asyncio.to_thread(migrate_engine, database)
        except sa.exc.OperationalError as error:
            lines = str(error.orig).strip().splitlines()
            why = lines[0] if lines else "it does not answer"
            # SQLite does not wait for another process that is making the file's tables or turning on its WAL.
            if left and database.is_sqlite and "locked" in why:
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            raise SettingsError([f"GITWARD_DATABASE_URL: the database cannot be used: {why}"]) from None
        return


def migrate_engine(database: Database) -> None:
    """Creates or updates DBOS's own tables. Blocks."""
    DBOS.migrate(database.sync_url)
