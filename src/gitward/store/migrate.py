"""Brings the database to the newest schema; safe to run twice and from two machines at once."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from gitward.errors import SettingsError
from gitward.store.database import Database, Transaction

_LOCK = 0x6769747761726400  # Postgres advisory lock held during a migration: "gitward\0"
_SECONDS = 3600.0  # a large database takes its time
_NEWER = (
    "GITWARD_DATABASE_URL: a newer version of Gitward has changed this database, and this one does not understand it; "
    "start the newer version, or go back to a backup"
)


def _config(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def upgrade(tx: Transaction, revision: str = "head") -> None:
    """Runs every migration that is missing.

    :raises SettingsError: the database is newer than this program.
    """
    if tx.connection.dialect.name == "postgresql":
        tx.execute(sa.text("SELECT set_config('lock_timeout', '0', true)"))
        tx.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    try:
        command.upgrade(_config(tx.connection), revision)
    except CommandError as error:
        if "Can't locate revision" in str(error):
            raise SettingsError([_NEWER]) from None
        raise


async def migrate(database: Database) -> None:
    """All of them in one transaction.

    :raises SettingsError: the database is newer than this program.
    """
    await database.write(upgrade, seconds=_SECONDS)
