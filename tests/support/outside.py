"""What another connection, which knows nothing of our code, sees in a database."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from gitward.store.database import Database

_DRIVER = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}


def look(database: Database, query: str) -> list[tuple[Any, ...]]:
    return look_at(database.sync_url, query)


def look_at(url: str, query: str) -> list[tuple[Any, ...]]:
    engine = sa.create_engine(sa.make_url(url).set(drivername=_DRIVER[sa.make_url(url).get_backend_name()]))
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(query))]
    finally:
        engine.dispose()
