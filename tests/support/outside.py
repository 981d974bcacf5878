"""What another connection, which knows nothing of our code, sees in a database."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from gitward.store.database import Database


def look(database: Database, query: str) -> list[tuple[Any, ...]]:
    """`{dbos}` in the query stands before the names of the engine's tables."""
    engine = sa.create_engine(database.sync_url)
    try:
        with engine.connect() as connection:
            text = sa.text(query.replace("{dbos}", "" if database.is_sqlite else "dbos."))
            return [tuple(row) for row in connection.execute(text)]
    finally:
        engine.dispose()
