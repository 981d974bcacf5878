"""Brings the database to the newest schema; safe to run twice and from two machines at once."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from gitward.store.database import Database

_LOCK = 0x6769747761726400  # Postgres advisory lock held during a migration: "gitward\0"


def _config(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: sa.Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    command.upgrade(_config(connection), "head")


async def migrate(database: Database) -> None:
    """Runs every migration that is missing, in one transaction."""
    async with database.transaction() as transaction:
        await transaction.run_sync(_upgrade)
