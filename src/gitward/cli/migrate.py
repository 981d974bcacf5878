"""`gitward migrate`: brings the database's tables up to date."""

from __future__ import annotations

import asyncio

from gitward.cli.data_folder import prepare_data_dir
from gitward.settings.fields import Settings
from gitward.store.database import Database
from gitward.workers.migrate import migrate_all


async def _migrate(settings: Settings) -> None:
    database = Database(settings.effective_database_url)
    try:
        await migrate_all(database)
    finally:
        await database.stop()


def run(settings: Settings) -> None:
    prepare_data_dir(settings.data_dir)
    asyncio.run(_migrate(settings))
    print("The database is up to date")
