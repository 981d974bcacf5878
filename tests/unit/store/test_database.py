"""Which databases are taken, and what a transaction and a snapshot promise."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa

from gitward.errors import SettingsError
from gitward.store import schema
from gitward.store.database import Database, Transaction
from outside import look

KEYS = schema.idempotency_keys


class Failed(Exception):
    """What a block raises."""


def write(tx: Transaction, key: str, at: datetime | None = None) -> None:
    row = {"issuer": "i", "subject": "s", "key": key, "fingerprint": "f", "answer": {}}
    tx.execute(sa.insert(KEYS).values(**row, created_at=at or datetime.now(UTC)))


def keys(tx: Transaction) -> list[str]:
    return list(tx.execute(sa.select(KEYS.c.key).order_by(KEYS.c.key)).scalars())


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///relative.db",
        "mysql://host/name",
        "postgresql://user:secret@host:port/name",
        "no address: secret",
    ],
)
def test_an_address_that_cannot_be_used_is_told_without_quoting_it(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^GITWARD_DATABASE_URL: must be sqlite:///<absolute path> or") as raised:
        Database(url)
    assert "secret" not in str(raised.value)


def test_the_drivers_are_ours_to_choose() -> None:
    assert Database("sqlite:////x/y.db").sync_url == "sqlite:////x/y.db"
    assert Database("postgresql+other://u:p@h/n").sync_url.startswith("postgresql+psycopg://u:p@h/n?")


def test_a_postgres_that_is_gone_is_noticed_as_the_operator_wishes() -> None:
    """libpq's settings in the address come before ours."""
    query = Database("postgresql://h/n?tcp_user_timeout=1").url.query
    assert (query["tcp_user_timeout"], query["keepalives_idle"]) == ("1", "5")


async def test_a_block_that_raises_writes_nothing(database: Database) -> None:
    async def fail() -> None:
        with database.transaction() as tx:
            write(tx, "a")
            raise Failed

    with pytest.raises(Failed):
        await fail()
    with database.snapshot() as tx:
        assert keys(tx) == []


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_a_transaction_is_the_only_writer_from_its_beginning(database: Database) -> None:
    """BEGIN IMMEDIATE: what it reads first is still true when it writes."""
    with database.transaction() as tx:
        with (
            closing(sqlite3.connect(str(database.url.database), timeout=0)) as other,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            other.execute("BEGIN IMMEDIATE")
        assert keys(tx) == []


async def test_a_snapshot_sees_one_state_and_stops_nobody(database: Database) -> None:
    with database.snapshot() as reader:
        assert keys(reader) == []
        with database.transaction() as tx:
            write(tx, "a")
        assert keys(reader) == []
    with database.snapshot() as reader:
        assert keys(reader) == ["a"]


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_writers_of_one_process_come_one_after_the_other(database: Database) -> None:
    """Many more than there are connections, and none of them is refused."""

    async def count_up(number: int) -> None:
        await database.write(lambda tx: write(tx, f"{len(keys(tx)):03}-{number}"))

    async with asyncio.timeout(60):
        await asyncio.gather(*(count_up(number) for number in range(50)))
    with database.snapshot() as tx:
        assert [key[:3] for key in keys(tx)] == [f"{number:03}" for number in range(50)]


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_a_writer_waits_for_another_process(database: Database) -> None:
    with closing(sqlite3.connect(str(database.url.database), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = asyncio.Event()

        async def wait_and_write() -> None:
            began.set()
            await database.write(lambda tx: write(tx, "a"))

        task = asyncio.create_task(wait_and_write())
        await began.wait()
        assert not task.done()
        other.execute("COMMIT")
        async with asyncio.timeout(20):
            await task


async def test_calls_after_the_commit_come_once_and_only_then(database: Database) -> None:
    """On the caller's loop, and before the caller goes on."""
    told: list[int] = []

    def tell() -> None:
        asyncio.get_running_loop()
        told.append(look(database, "SELECT count(*) FROM idempotency_keys")[0][0])

    def change(tx: Transaction) -> list[int]:
        write(tx, "a")
        tx.after_commit(tell)
        return list(told)

    assert await database.write(change) == []
    assert told == [1]

    def fail(tx: Transaction) -> None:
        tx.after_commit(tell)
        raise Failed

    with pytest.raises(Failed):
        await database.write(fail)
    assert told == [1]


async def test_they_come_also_when_the_caller_was_cancelled(database: Database) -> None:
    """What was committed is told to whoever waits for it."""
    begun, told = threading.Event(), asyncio.Event()

    def change(tx: Transaction) -> None:
        write(tx, "a")
        tx.after_commit(told.set)
        begun.set()

    task = asyncio.create_task(database.write(change))
    await asyncio.to_thread(begun.wait, 20)
    task.cancel()
    await asyncio.wait([task])
    assert told.is_set()
    assert look(database, "SELECT key FROM idempotency_keys") == [("a",)]


async def test_a_transaction_stays_in_one_thread_which_is_not_the_loop_s(database: Database) -> None:
    seen: list[str] = []

    def change(tx: Transaction) -> None:
        seen.extend(threading.current_thread().name for _ in range(3) if keys(tx) == [])

    await database.write(change)
    await database.read(change)
    assert len(seen) == 6
    assert len(set(seen)) == 2, "writers and readers are threads of their own"
    assert threading.current_thread().name not in seen


async def test_a_connection_that_broke_while_nobody_looked_is_replaced(database: Database) -> None:
    """The first who wants it does not see it."""
    if database.is_sqlite:
        return
    await database.write(lambda tx: write(tx, "a"))
    others = "pid <> pg_backend_pid() AND datname = current_database()"
    assert look(database, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
    assert await database.read(keys) == ["a"]
    await database.write(lambda tx: write(tx, "b"))
    assert await database.read(keys) == ["a", "b"]


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-7)), timezone(timedelta(hours=5, minutes=30))])
async def test_moments_come_back_in_utc(database: Database, zone: timezone) -> None:
    at = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=zone)
    with database.transaction() as tx:
        write(tx, "a", at)
        found = tx.execute(sa.select(KEYS.c.created_at)).scalar_one()
    assert found == at
    assert found.tzinfo is UTC


async def test_text_and_json_come_back_as_they_were(database: Database) -> None:
    value = {"text": "grün 🫨 \u2028 \x01", "list": [1, None, 2.5]}
    with database.transaction() as tx:
        write(tx, "a")
        tx.execute(sa.update(KEYS).values(answer=value))
        assert tx.execute(sa.select(KEYS.c.answer)).scalar_one() == value


async def test_a_database_that_answers_is_told_from_one_that_does_not(database: Database) -> None:
    await database.ping()
    broken = Database("sqlite:////nowhere/at/all.db" if database.is_sqlite else "postgresql://127.0.0.1:9/none")
    with pytest.raises(sa.exc.OperationalError):
        await broken.ping()
    await broken.stop()


async def test_foreign_keys_hold(database: Database) -> None:
    with pytest.raises(sa.exc.IntegrityError), database.transaction() as tx:
        tx.execute(sa.insert(schema.events).values(session_id="none", seq=1, at=datetime.now(UTC), type="x", data={}))
