"""The database and its transactions: SQLite on one machine, Postgres for many, by the same code.

A transaction is plain code that runs in one thread from its first statement to its commit: no statement crosses the
event loop, so nothing can interrupt it half-way. Only the edge commits: an API route or a step of the job.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url

from gitward.errors import SettingsError
from gitward.store import disk, postgres_connections
from gitward.store.disk_reserve import Reserve
from gitward.store.disk_watch import DiskWatch
from gitward.store.transaction_threads import Call, Threads

T = TypeVar("T")

# A Postgres that is gone without a word is noticed. libpq's own words; what stands in the address comes first.
_PATIENCE = {
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
# A process that is stopped or cut off in the middle of a transaction does not keep its locks for long, and nobody waits
# for a lock for longer than a caller waits for an answer.
_OPTIONS = "-c idle_in_transaction_session_timeout=5000 -c lock_timeout=7500"
ANSWER_SECONDS = 8.0  # for one transaction, the wait for its turn included; a caller is answered within 10 s
BUSY_TIMEOUT_MS = 8_000  # how long SQLite waits for a writer in another process
# SQLite has room for one writer; readers disturb nobody.
_SQLITE_WRITERS, _READERS = 1, 4
# A worker's writers may wait for locks of others for seconds, each, while its other runs go on.
POSTGRES_WRITERS = 8
# An API's are all alike, and each waits for the interpreter's lock after every answer of the database: with eight, a
# POST at 50 a second took three times as long.
API_POSTGRES_WRITERS = 3

# What a database raises that is locked for long, restarted, unreachable or out of room: the same may work later.
PASSING_ERRORS: tuple[type[Exception], ...] = (
    sa.exc.OperationalError,
    sa.exc.InternalError,  # as Postgres calls a transaction that it ended because its client was silent
    sa.exc.InterfaceError,
    sa.exc.TimeoutError,  # no connection of the pool is free
    OSError,  # a TimeoutError among them: the transaction had not begun in time
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

    def __init__(self, connection: sa.Connection, *, writes: bool) -> None:
        self.connection = connection
        self.writes = writes  # False: a snapshot, in which rows cannot be locked
        self._after_commit: list[Callable[[], None]] = []

    def execute(self, statement: sa.Executable, parameters: Any = None) -> sa.CursorResult[Any]:
        return self.connection.execute(statement, parameters)

    def after_commit(self, call: Callable[[], None]) -> None:
        """`call` must not block. After `Database.write` it happens on the caller's loop, before the caller goes on."""
        self._after_commit.append(call)

    def commit(self, tell: Callable[[Callable[[], None]], object]) -> None:
        self.connection.commit()
        calls, self._after_commit = self._after_commit, []
        for call in calls:
            tell(call)


class Database:
    """The one way to the database. Connects when it is first used; `stop` closes every connection."""

    def __init__(self, url: str, *, reserve_bytes: int = 0, postgres_writers: int = POSTGRES_WRITERS) -> None:
        """:param reserve_bytes: of a SQLite database's disk, kept for it; `reserve.renew` takes it.
        :param postgres_writers: transactions that may write at the same time.
        """
        self.url = _parse(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.reserve = Reserve(Path(self.url.database or ""), reserve_bytes if self.is_sqlite else 0)
        writers = _SQLITE_WRITERS if self.is_sqlite else postgres_writers
        self._disk: DiskWatch | None = None
        self.engine = _create_engine(self.url, threads=writers + _READERS)
        self._writers, self._readers = Threads(writers, "database writer"), Threads(_READERS, "database reader")

    @property
    def sync_url(self) -> str:
        """The same database for whoever brings an engine of his own."""
        return self.url.render_as_string(hide_password=False)

    @property
    def folder(self) -> Path | None:
        """Where a SQLite database lies."""
        return Path(self.url.database or "").parent if self.is_sqlite else None

    @property
    def conninfo(self) -> str:
        """The same Postgres for psycopg itself."""
        from psycopg.conninfo import make_conninfo

        parts = self.url.translate_connect_args(username="user", database="dbname")
        return make_conninfo(**parts, **{name: str(value) for name, value in self.url.query.items()})

    async def write(self, change: Callable[[Transaction], T], *, seconds: float = ANSWER_SECONDS) -> T:
        """Runs `change` in a transaction: committed when it returns, rolled back when it raises.

        On SQLite it begins with BEGIN IMMEDIATE: a reader that became a writer half-way would see rows that
        were committed in between, or fail. A caller that is cancelled waits for the end of its transaction.

        :raises PASSING_ERRORS: the database did not take it within `seconds`. When the connection broke in the very
            commit, nobody knows whether it was committed.
        """
        loop = asyncio.get_running_loop()
        return await self._writers.run(partial(self._write, change, partial(_post, loop)), seconds=seconds)

    async def read(self, look: Callable[[Transaction], T], *, seconds: float = ANSWER_SECONDS) -> T:
        """Runs `look` in a transaction that only reads, all of it one state; it never waits for a writer.

        :raises PASSING_ERRORS: the database did not answer within `seconds`.
        """
        return await self._readers.run(partial(self._read, look), seconds=seconds)

    def _write(self, change: Callable[[Transaction], T], tell: Callable[[Callable[[], None]], object], call: Call) -> T:
        try:
            return self._write_once(change, tell, call)
        except sa.exc.OperationalError as error:
            if disk.fault_of(error) is None or not self.reserve.give_up():
                raise
        return self._write_once(change, tell, call)

    def _write_once(
        self, change: Callable[[Transaction], T], tell: Callable[[Callable[[], None]], object], call: Call
    ) -> T:
        with self._opened(call, writes=True) as tx:
            result = change(tx)
            tx.commit(tell)
            return result

    def _read(self, look: Callable[[Transaction], T], call: Call) -> T:
        with self._opened(call, writes=False) as tx:
            return look(tx)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction that writes, in the caller's own thread. Blocks, for as long as the database does."""
        with self._opened(Call(), writes=True) as tx:
            yield tx
            tx.commit(_now)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """A transaction that only reads, in the caller's own thread. Blocks, for as long as the database does."""
        with self._opened(Call(), writes=False) as tx:
            yield tx

    @contextlib.contextmanager
    def _opened(self, call: Call, *, writes: bool) -> Iterator[Transaction]:
        connection = self._begin(call, writes=writes)
        try:
            call.begins()
            yield Transaction(connection, writes=writes)
        finally:
            call.ends()
            connection.close()  # rolls back what was not committed

    def _begin(self, call: Call, *, writes: bool) -> sa.Connection:
        """A connection on which BEGIN was answered.

        One of the pool may have been broken while nobody looked: BEGIN tells, then a new one is opened.
        """
        try:
            return self._try_to_begin(call, writes=writes)
        except sa.exc.DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return self._try_to_begin(call, writes=writes)

    def _try_to_begin(self, call: Call, *, writes: bool) -> sa.Connection:
        connection = self.engine.execution_options(gitward_write=writes).connect()
        try:
            call.uses(_cut_of(connection))
            connection.begin()
        except BaseException:
            call.ends()
            connection.close()
            raise
        return connection

    async def ping(self) -> None:
        """Raises when the database does not answer."""
        await self.read(lambda tx: tx.execute(sa.select(1)).scalar_one())

    async def watch_disk(self) -> None:
        """Keeps the reserve of a SQLite database, and knows whether its disk is full, until `stop`."""
        if self.folder is not None:
            self._disk = DiskWatch(self.folder, of="the database", renew=self.reserve.renew)
            await self._disk.start()

    @property
    def is_low(self) -> bool:
        """Whether its disk is full: what can be written now comes from the reserve, and is for the ends of runs."""
        return self._disk is not None and self._disk.is_low

    async def check_disk(self) -> None:
        """For a caller who has just made room."""
        if self._disk is not None:
            await self._disk.check()

    async def stop(self) -> None:
        """Waits for the transactions that have begun."""
        if self._disk is not None:
            await self._disk.stop()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writers.close()
        self._readers.close()
        self.engine.dispose()
        self.reserve.close()

    def sever(self) -> None:
        """Breaks every Postgres connection of this process: who waits for an answer gets an error, now."""
        postgres_connections.sever()


def _post(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """By the thread that wrote: whether anybody still waits for it makes no difference."""
    with contextlib.suppress(RuntimeError):  # the loop was closed: nobody is left to be told
        loop.call_soon_threadsafe(call)


def _now(call: Callable[[], None]) -> None:
    call()


def _cut_of(connection: sa.Connection) -> Callable[[], None]:
    """What ends a transaction from another thread: the socket is cut, for a stopped server honours no timeout."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        interrupt: Callable[[], None] = driver.interrupt
        return interrupt
    return partial(postgres_connections.cut, driver.fileno())


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (sa.exc.ArgumentError, ValueError):  # ValueError: a port that is no number
        parsed = None
    if parsed is not None and parsed.get_backend_name() == "sqlite" and (parsed.database or "").startswith("/"):
        return parsed.set(drivername="sqlite")
    if parsed is not None and parsed.get_backend_name() == "postgresql":
        options = f"{_OPTIONS} {parsed.query.get('options', '')}".strip()
        query = {**_PATIENCE, **parsed.query, "options": options}
        return parsed.set(drivername="postgresql+psycopg", query=query)
    raise SettingsError(["GITWARD_DATABASE_URL: must be sqlite:///<absolute path> or postgresql://user@host/name"])


def _create_engine(url: URL, *, threads: int) -> sa.Engine:
    more: dict[str, Any] = {"pool_size": threads, "max_overflow": threads, "pool_timeout": ANSWER_SECONDS}
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000}, **more)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    postgres_connections.watch()
    # The driver begins nothing by itself: BEGIN is a statement of ours, and the first to tell of a broken connection.
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", **more)
    event.listen(engine, "begin", _begin_postgres)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we emit BEGIN ourselves, see _begin_sqlite
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "temp_store=MEMORY",  # a full /tmp is no reason to refuse a question
        f"busy_timeout={BUSY_TIMEOUT_MS}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if _writes(connection) else "BEGIN")


def _begin_postgres(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN" if _writes(connection) else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")


def _writes(connection: sa.Connection) -> bool:
    return bool(connection.get_execution_options().get("gitward_write", False))
