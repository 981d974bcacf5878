"""A cancellation in the middle of a transaction leaves no lock, no connection and no half-told truth."""

from __future__ import annotations

import asyncio
import threading
from itertools import count

import pytest
import sqlalchemy as sa

from gitward.store import schema
from gitward.store.database import PASSING_ERRORS, Database, Transaction, uninterrupted
from interruption import CancelledAt

_ENDLESS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    "postgresql": "SELECT pg_sleep(60)",
}
_INSERT = sa.text("INSERT INTO idempotency_keys VALUES ('i', 's', :key, 'f', '{}', '2026-11-23 00:00:00.000000')")


async def write(database: Database, key: str, told: list[str]) -> None:
    def change(tx: Transaction) -> None:
        tx.execute(_INSERT, {"key": key})
        tx.after_commit(lambda: told.append(key))
        tx.execute(sa.select(schema.idempotency_keys))

    await database.write(change)


async def read(database: Database, _key: str, _told: list[str]) -> None:
    await database.read(lambda tx: tx.execute(sa.select(schema.idempotency_keys)).all())


async def stored(database: Database) -> list[str]:
    with database.snapshot() as tx:
        return list(tx.execute(sa.select(schema.idempotency_keys.c.key)).scalars())


@pytest.mark.parametrize("work", [write, read])
@pytest.mark.parametrize("again", [(), (1,), (1, 2)])
async def test_at_whatever_point_it_comes(database: Database, work: type, again: tuple[int, ...]) -> None:
    """One cancellation at each await point in turn, and then more at the points that follow. After each:
    a new write succeeds at once, every connection is back, and who waited for the commit was told the truth."""
    for number in count(1):
        told: list[str] = []
        attempt = CancelledAt(work(database, f"k{number}", told), number, *(number + more for more in again))
        task = asyncio.create_task(as_coroutine(attempt))
        async with asyncio.timeout(20):
            [result] = await asyncio.gather(task, return_exceptions=True)
        if attempt.waits < number:
            assert result is None
            break
        assert isinstance(result, asyncio.CancelledError)
        assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # of its queue pool
        assert await stored(database) == told
        async with asyncio.timeout(5):
            await database.write(lambda tx: tx.execute(sa.delete(schema.idempotency_keys)))
    assert number > 1


async def as_coroutine(awaitable: CancelledAt[None]) -> None:
    await awaitable


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_a_writer_that_waits_for_its_turn_can_be_cancelled_at_once(database: Database) -> None:
    """It need not wait until the other's transaction ends."""
    leave = threading.Event()
    holding = asyncio.create_task(database.write(lambda _tx: leave.wait(20)))
    try:
        waiting = asyncio.create_task(write(database, "a", []))
        cancelled = asyncio.create_task(write(database, "b", []))
        await asyncio.sleep(0)
        cancelled.cancel()
        async with asyncio.timeout(10):  # half of what the other one may take
            await asyncio.gather(cancelled, return_exceptions=True)
        assert cancelled.cancelled()
    finally:
        leave.set()
    assert await holding
    await waiting
    assert await stored(database) == ["a"]


async def test_a_cancelled_writer_waits_for_a_transaction_that_has_begun(database: Database) -> None:
    begun, leave = threading.Event(), threading.Event()

    def change(_tx: Transaction) -> None:
        begun.set()
        leave.wait(20)

    task = asyncio.create_task(database.write(change))
    assert await asyncio.to_thread(begun.wait, 20)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    leave.set()
    await asyncio.wait({task})
    assert task.cancelled()


async def test_a_transaction_that_takes_too_long_is_cut_off(database: Database) -> None:
    """Its statement fails at once, and nothing of it is written."""

    def change(tx: Transaction) -> None:
        tx.execute(_INSERT, {"key": "a"})
        tx.execute(sa.text(_ENDLESS[tx.connection.dialect.name]))

    with pytest.raises(PASSING_ERRORS):
        await database.write(change, seconds=0.5)
    assert await stored(database) == []


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_a_writer_whose_turn_does_not_come_in_time_writes_nothing(database: Database) -> None:
    begun, leave = threading.Event(), threading.Event()

    def hold(_tx: Transaction) -> bool:
        begun.set()
        return leave.wait(20)

    holding = asyncio.create_task(database.write(hold))
    assert await asyncio.to_thread(begun.wait, 20)
    with pytest.raises(TimeoutError):
        await database.write(lambda tx: tx.execute(_INSERT, {"key": "a"}), seconds=0.2)
    leave.set()
    assert await holding
    assert await stored(database) == []


async def test_an_uninterrupted_call_ends_before_the_cancellation_is_raised() -> None:
    entered, leave, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def call() -> None:
        entered.set()
        await leave.wait()
        ended.set()

    task = asyncio.create_task(uninterrupted(call()))
    await entered.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    leave.set()
    await asyncio.wait({task})
    assert task.cancelled()
    assert ended.is_set()


async def test_the_error_of_an_interrupted_call_gives_way_to_the_cancellation() -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def call() -> None:
        entered.set()
        await leave.wait()
        raise ValueError

    task = asyncio.create_task(uninterrupted(call()))
    await entered.wait()
    task.cancel()
    await asyncio.sleep(0)
    leave.set()
    await asyncio.wait({task})
    assert task.cancelled()


async def test_an_uninterrupted_call_gives_its_result_or_its_error() -> None:
    async def call(number: int) -> float:
        return 1 / number

    assert await uninterrupted(call(2)) == 0.5
    with pytest.raises(ZeroDivisionError):
        await uninterrupted(call(0))


async def test_rows_can_be_locked_in_a_transaction_only(database: Database) -> None:
    def may_write(tx: Transaction) -> bool:
        return tx.writes

    with database.transaction() as tx:
        assert may_write(tx)
    with database.snapshot() as tx:
        assert not may_write(tx)
