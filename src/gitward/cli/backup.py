"""`gitward backup FILE`: copies one state of a SQLite database to a file, while others use the database."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from pathlib import Path

from gitward.errors import SettingsError
from gitward.settings import Settings
from gitward.store import sqlite_files
from gitward.store.database import Database

_POSTGRES = "GITWARD_DATABASE_URL: this is Postgres; back it up with pg_dump --format=custom --file=FILE"


async def _backup(settings: Settings, file: Path) -> None:
    database = Database(settings.effective_database_url)
    try:
        if not database.is_sqlite:
            raise SettingsError([_POSTGRES])
        if not Path(str(database.url.database)).is_file():
            raise SettingsError(["GITWARD_DATABASE_URL: there is no database yet"])
        await asyncio.to_thread(sqlite_files.copy, database, file.absolute())
    except sqlite3.Error as error:
        raise SettingsError([f"{file} cannot be written: {error}"]) from None
    finally:
        await database.stop()


def run(settings: Settings, file: Path) -> None:
    """:raises SettingsError: it cannot be written; a file that is there already is left as it is."""
    if file.exists():
        raise SettingsError([f"{file} already exists; name a new file"])
    os.umask(0o077)  # what the database holds is for its owner only
    asyncio.run(_backup(settings, file))
    print(f"The database is copied to {file}")
