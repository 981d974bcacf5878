"""Every row of every table, on SQLite and on Postgres."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from gitward.audit.channels import Channel
from gitward.audit.ledger import Ledger
from gitward.store.database import Database

_ROWS = 500  # fetched at once
_SECONDS = 3600.0
_SYSTEM = ("information_schema", "pg_catalog", "pg_toast")


async def search_tables(ledger: Ledger, url: str) -> None:
    """Reads only; a value is searched whole, wherever it lies in the database's files."""
    database = Database(url)
    try:
        await database.read(lambda tx: _search(ledger, tx.connection), seconds=_SECONDS)
    finally:
        await database.stop()


def _search(ledger: Ledger, connection: sa.Connection) -> None:
    for schema, name in _tables(connection):
        place = f"{schema}.{name}" if schema else name
        quoted = connection.dialect.identifier_preparer.quote(name)
        qualified = f"{connection.dialect.identifier_preparer.quote(schema)}.{quoted}" if schema else quoted
        rows = connection.execute(sa.text(f"SELECT * FROM {qualified}"))  # noqa: S608  # names from the catalogue
        while batch := rows.fetchmany(_ROWS):
            ledger.look(Channel.TABLES, place, b"\n".join(value for row in batch for value in _values(row)))


def _tables(connection: sa.Connection) -> Iterator[tuple[str | None, str]]:
    inspector = sa.inspect(connection)
    if connection.dialect.name == "sqlite":
        yield from ((None, name) for name in inspector.get_table_names())
        return
    for schema in inspector.get_schema_names():
        if schema not in _SYSTEM:
            yield from ((schema, name) for name in inspector.get_table_names(schema=schema))


def _values(row: Any) -> Iterator[bytes]:
    """As bytes; of JSON also what its strings mean."""
    for value in row:
        if isinstance(value, bytes | memoryview):
            yield bytes(value)
        elif isinstance(value, dict | list):
            yield json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
        elif value is not None:
            yield str(value).encode("utf-8", "surrogatepass")
