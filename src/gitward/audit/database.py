"""Every row of every table, on SQLite and on Postgres."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import sqlalchemy as sa

from gitward.audit.channels import Channel
from gitward.audit.ledger import Ledger
from gitward.store.database import Database
from gitward.store.schema import artifacts as _artifacts

_ROWS = 500  # fetched at once
_SECONDS = 3600.0
_PIECE, _OVERLAP = 16 * 1024 * 1024, 4096  # bytes; the overlap is more than the longest spelling
_MOST_UNPACKED = 512 * 1024 * 1024  # of one artifact
_SYSTEM = ("information_schema", "pg_catalog", "pg_toast")


async def search_tables(ledger: Ledger, url: str) -> None:
    """Reads only; a value is searched whole, wherever it lies in the database's files."""
    await _read(url, partial(_search, ledger))


async def _read(url: str, search: Callable[[sa.Connection], None]) -> None:
    database = Database(url)
    try:
        await database.read(lambda tx: search(tx.connection), seconds=_SECONDS)
    finally:
        await database.stop()


def _search(ledger: Ledger, connection: sa.Connection) -> None:
    for schema, name in _tables(connection):
        place = f"{schema}.{name}" if schema else name
        quoted = connection.dialect.identifier_preparer.quote(name)
        qualified = f"{connection.dialect.identifier_preparer.quote(schema)}.{quoted}" if schema else quoted
        rows = connection.execute(sa.text(f"SELECT * FROM {qualified}"))  # noqa: S608  # names from the catalogue
        while batch := rows.fetchmany(_ROWS):
            ledger.search(Channel.TABLES, place, b"\n".join(value for row in batch for value in _values(row)))


async def search_artifacts(ledger: Ledger, url: str) -> None:
    """Each artifact put together from its pieces, and what a packed one holds: a conversation for example."""
    await _read(url, partial(_search_artifacts, ledger))


def _search_artifacts(ledger: Ledger, connection: sa.Connection) -> None:
    table = _artifacts
    names = (table.c.run_id, table.c.attempt, table.c.kind)
    for artifact in connection.execute(sa.select(*names).distinct().order_by(*names)).all():
        is_it = sa.and_(*(column == value for column, value in zip(names, artifact, strict=True)))
        pieces = connection.execute(sa.select(table.c.content).where(is_it).order_by(table.c.piece)).scalars()
        whole, place = b"".join(pieces), f"{artifact.kind} of {artifact.run_id}, attempt {artifact.attempt}"
        ledger.search(Channel.ARTIFACTS, place, whole)
        for piece in unpacked(whole):
            ledger.search(Channel.ARTIFACTS, f"{place}, unpacked", piece)


def unpacked(data: bytes) -> Iterator[bytes]:
    """What is packed by zlib or gzip, in pieces that overlap; of other data nothing."""
    unpacker, tail, left = zlib.decompressobj(32 + zlib.MAX_WBITS), b"", _MOST_UNPACKED
    while data and left > 0 and not unpacker.eof:
        try:
            piece = unpacker.decompress(data, _PIECE)
        except zlib.error:
            return
        yield tail + piece
        tail, left, data = piece[-_OVERLAP:], left - len(piece), unpacker.unconsumed_tail


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
