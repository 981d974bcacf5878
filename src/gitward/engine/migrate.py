"""Brings a database's tables up to date: ours and the engine's."""

from __future__ import annotations

import asyncio

import sqlalchemy as sa
from dbos import DBOS

from gitward.errors import SettingsError
from gitward.store.database import Database
from gitward.store.migrate import migrate


async def migrate_all(database: Database) -> None:
    """Safe to run twice, and from two machines at once.

    :raises SettingsError: the database cannot be used.
    """
    try:
        await migrate(database)
        await asyncio.to_thread(migrate_engine, database)
    except sa.exc.OperationalError as error:
        lines = str(error.orig).strip().splitlines()
        why = lines[0] if lines else "it does not answer"
        raise SettingsError([f"GITWARD_DATABASE_URL: the database cannot be used: {why}"]) from None


def migrate_engine(database: Database) -> None:
    """Creates or updates DBOS's own tables. Blocks."""
    DBOS.migrate(database.sync_url)
