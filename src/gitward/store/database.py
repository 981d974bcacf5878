"""The database engine and its transactions: SQLite on one machine, Postgres for many, by the same code.

Only the edge commits: an API route or a step of the job opens a transaction and passes it down.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from psycopg.conninfo import make_conninfo
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gitward.errors import SettingsError
from gitward.store import connections

T = TypeVar("T")

# A Postgres that is gone without a word is noticed. libpq's own words; what stands in the address comes first.
_PATIENCE = {
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
# A process that is stopped or cut off in the middle of a transaction does not keep its locks for long.
_IDLE = "-c idle_in_transaction_session_timeout=5000"
BUSY_TIMEOUT_MS = 30_000  # how long SQLite waits for another writer

# What a database raises that is locked for long, restarted, unreachable or out of room: the same may work later.
PASSING_ERRORS: tuple[type[Exception], ...] = (
    sa.exc.OperationalError,
    sa.exc.InternalError,  # as Postgres calls a transaction that it ended because its client was silent
    sa.exc.InterfaceError,
    sa.exc.TimeoutError,  # no connection of the pool is free
    OSError,
)


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """A moment: aware, in UTC, on both databases (SQLite's own type drops the zone)."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(
        self,
        value: datetime | None,
        dialect: sa.Dialect,  # noqa: ARG002 -- the base class's signature
    ) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


async def uninterrupted(call: Coroutine[Any, Any, T]) -> T:
    """The result of one call to the database; a cancellation waits until the call has ended.

    A statement that is cut off half-way leaves its connection, and on SQLite the write lock, in limbo.
    """
    task = asyncio.create_task(call)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):  # asked once more: the first one is raised below
                await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # looked at; the cancellation is what counts
        raise


class Transaction:
    """One open transaction. `after_commit` calls happen once, when it has really been committed."""

    def __init__(self, connection: AsyncConnection, *, writes: bool) -> None:
        self.connection = connection
        self.writes = writes  # False: a snapshot, in which rows cannot be locked
        self._after_commit: list[Callable[[], None]] = []

    async def execute(self, statement: sa.Executable, parameters: Any = None) -> sa.CursorResult[Any]:
        return await uninterrupted(self.connection.execute(statement, parameters))

    async def run_sync(self, call: Callable[[sa.Connection], T]) -> T:
        """Lets a library that knows only SQLAlchemy's plain connection work in this transaction."""
        return await uninterrupted(self.connection.run_sync(call))

    def after_commit(self, call: Callable[[], None]) -> None:
        self._after_commit.append(call)

    async def commit(self) -> None:
        await self.connection.commit()
        calls, self._after_commit = self._after_commit, []
        for call in calls:
            call()


class Database:
    """The one way to the database. Connects when it is first used; `stop` closes every connection."""

    def __init__(self, url: str) -> None:
        self.url = _parse(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _create_engine(self.url, is_sqlite=self.is_sqlite)
        self._sqlite_writer = asyncio.Lock()

    @property
    def sync_url(self) -> str:
        """The same database for libraries that bring their own engine (DBOS, Alembic)."""
        driver = "sqlite" if self.is_sqlite else "postgresql+psycopg"
        return self.url.set(drivername=driver).render_as_string(hide_password=False)

    @property
    def conninfo(self) -> str:
        """The same Postgres for psycopg itself."""
        parts = self.url.translate_connect_args(username="user", database="dbname")
        return make_conninfo(**parts, **{name: str(value) for name, value in self.url.query.items()})

    async def ping(self) -> None:
        """Raises when the database does not answer."""
        async with self.snapshot() as tx:
            await tx.execute(sa.select(1))

    async def stop(self) -> None:
        await self.engine.dispose()

    def sever(self) -> None:
        """Breaks every Postgres connection of this process: who waits for an answer gets an error, now."""
        connections.sever()

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction that writes: committed at the end of the block, rolled back when the block raises.

        On SQLite it begins with BEGIN IMMEDIATE: a reader that became a writer half-way would see rows that
        were committed in between, or fail.

        :raises TimeoutError: on SQLite, when this process's other writers took longer than BUSY_TIMEOUT_MS.
        """
        async with self._turn():
            connection = self.engine.execution_options(gitward_write=True).connect()
            transaction = Transaction(connection, writes=True)
            try:
                await uninterrupted(_open(connection))
                await uninterrupted(_begin(connection))
                yield transaction
                await uninterrupted(transaction.commit())
            finally:
                await uninterrupted(_close(connection))  # rolls back what was not committed

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Writers of this process queue up here: SQLite has room for one, and lets the others poll for it."""
        if not self.is_sqlite:
            yield
            return
        async with asyncio.timeout(BUSY_TIMEOUT_MS / 1000):
            await self._sqlite_writer.acquire()
        try:
            yield
        finally:
            self._sqlite_writer.release()

    @contextlib.asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Transaction]:
        """A transaction that only reads, all of it one state of the database; it never waits for a writer."""
        engine = self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="REPEATABLE READ")
        connection = engine.connect()
        try:
            await uninterrupted(_open(connection))
            yield Transaction(connection, writes=False)
        finally:
            await uninterrupted(_close(connection))


async def _close(connection: AsyncConnection) -> None:
    if connection.sync_connection is not None:  # it is None when it could not be opened
        await connection.close()


async def _open(connection: AsyncConnection) -> None:
    await connection.start()


async def _begin(connection: AsyncConnection) -> None:
    await connection.begin()


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (sa.exc.ArgumentError, ValueError):  # ValueError: a port that is no number
        parsed = None
    if parsed is not None and parsed.get_backend_name() == "sqlite" and (parsed.database or "").startswith("/"):
        return parsed.set(drivername="sqlite+aiosqlite")
    if parsed is not None and parsed.get_backend_name() == "postgresql":
        options = f"{_IDLE} {parsed.query.get('options', '')}".strip()
        query = {**_PATIENCE, **parsed.query, "options": options}
        return parsed.set(drivername="postgresql+psycopg", query=query)
    raise SettingsError(["GITWARD_DATABASE_URL: must be sqlite:///<absolute path> or postgresql://user@host/name"])


def _create_engine(url: URL, *, is_sqlite: bool) -> AsyncEngine:
    if not is_sqlite:
        connections.watch()
        return create_async_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=10)
    engine = create_async_engine(url, pool_size=8, max_overflow=8, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we emit BEGIN ourselves, see _begin_sqlite
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_TIMEOUT_MS}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("gitward_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
