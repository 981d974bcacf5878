"""The files of a SQLite database: whether they are intact, what waits in the journal, and a copy of them."""

from __future__ import annotations

import contextlib
from pathlib import Path

import sqlalchemy as sa

from gitward.errors import SettingsError
from gitward.store.database import Database, Transaction

_DAMAGED = (
    "GITWARD_DATABASE_URL: the database file is damaged ({}); stop every process that uses it, and restore a backup"
)


def check(tx: Transaction) -> None:
    """Reads every page.

    :raises SettingsError: the file is damaged.
    """
    if tx.connection.dialect.name != "sqlite":
        return  # Postgres looks after its own
    try:
        found = str(tx.execute(sa.text("PRAGMA quick_check(1)")).scalar_one())
    except sa.exc.DatabaseError as error:
        if not tells_of_damage(error):
            raise
        found = str(error.orig)
    if found != "ok":
        raise damaged(found)


def tells_of_damage(error: sa.exc.DatabaseError) -> bool:
    return any(text in str(error.orig) for text in ("malformed", "not a database"))


def damaged(found: str) -> SettingsError:
    return SettingsError([_DAMAGED.format(found.strip().splitlines()[-1])])


def empty_journal(database: Database) -> None:
    """Writes what waits in the write-ahead log into the database file, as far as no reader needs it. Blocks."""
    if database.is_sqlite:
        with contextlib.closing(database.engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")


def copy(database: Database, path: Path) -> None:
    """Writes one state of the database to a new file, while others use it. Blocks.

    :raises sqlite3.Error: it cannot be written, or there is a file already.
    """
    with contextlib.closing(database.engine.raw_connection()) as connection:
        connection.cursor().execute("VACUUM INTO ?", (str(path),))
