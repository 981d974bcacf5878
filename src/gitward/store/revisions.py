"""The migrations that exist, and those that a database has had. This needs no Alembic, which is slow to load."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from gitward.store.database import Transaction

_VERSIONS = Path(__file__).parent / "migrations" / "versions"


def newest() -> str:
    """The last migration that this program knows; they are numbered by their files' names."""
    return max(file.name.partition("_")[0] for file in _VERSIONS.glob("[0-9]*_*.py"))


def revision_of(tx: Transaction) -> str | None:
    """The last migration that was made here; None: none yet."""
    if not sa.inspect(tx.connection).has_table("alembic_version"):
        return None
    return tx.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
