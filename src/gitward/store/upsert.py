"""INSERT … ON CONFLICT, which both databases have and SQLAlchemy spells differently for each."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from gitward.store.database import Transaction

Insert = postgresql.Insert | sqlite.Insert


def insert(tx: Transaction, table: sa.Table) -> Insert:
    """With `on_conflict_do_nothing` and `on_conflict_do_update`."""
    return postgresql.insert(table) if tx.connection.dialect.name == "postgresql" else sqlite.insert(table)
