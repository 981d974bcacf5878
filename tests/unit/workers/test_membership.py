"""Who is struck off the list of workers, and who is not."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gitward.grants import clock, processes
from gitward.store.database import Database
from gitward.workers.membership import OWN_SHARE, Membership
from outside import look
from postgres import Postgres

LEASE_SECONDS = 60.0  # of whoever is looked at; the test's clock goes faster than the machine's


class Watch:
    """Another one's clock, which stands still but when the test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def watcher_of(database: Database, seconds: Watch) -> Membership:
    return Membership(database, worker="watcher", lease_seconds=600.0, children=lambda: (), seconds=seconds)


@pytest.fixture
def database_kind(postgres: Postgres) -> str:
    return "postgres"


@asynccontextmanager
async def member(database: Database, name: str, lease_seconds: float = 600.0) -> AsyncIterator[Membership]:
    made = Membership(database, worker=name, lease_seconds=lease_seconds, children=lambda: ())
    try:
        yield made
    finally:
        await made.leave()


def names(database: Database) -> list[str]:
    return [name for (name,) in look(database, "SELECT id FROM workers ORDER BY id")]


async def test_a_lease_begins_before_the_question_and_is_shorter_than_the_others_wait(database: Database) -> None:
    async with member(database, "one", lease_seconds=100.0) as one:
        before = clock.seconds()
        lease = await one.join()
        assert before + 100 * OWN_SHARE <= lease.until <= clock.seconds() + 100 * OWN_SHARE
        assert OWN_SHARE < 0.75
        first = lease.until
        assert await one.beat(lease)
        assert first < lease.until <= clock.seconds() + 100 * OWN_SHARE


async def test_whoever_beats_stays_and_whoever_is_silent_is_struck_off(database: Database) -> None:
    async with member(database, "one", LEASE_SECONDS) as one, member(database, "two", LEASE_SECONDS) as two:
        lease, silent = await one.join(), await two.join()
        joined = clock.seconds()
        seconds = Watch()
        watcher = watcher_of(database, seconds)
        began = seconds.now
        while "two" in names(database):
            assert await one.beat(lease)
            await watcher.check()
            assert seconds.now <= began + LEASE_SECONDS + 1
            seconds.now += 1.0
        assert silent.until - joined < LEASE_SECONDS <= seconds.now - began, "it stops by itself before"
        assert names(database) == ["one"]
        assert not await two.beat(silent)
        await watcher.disconnect()


async def test_a_struck_off_worker_with_a_lease_notices_at_its_next_beat(database: Database) -> None:
    async with member(database, "one") as one:
        lease = await one.join()
        look(database, "SELECT 1")
        with database.transaction() as tx:
            tx.connection.exec_driver_sql("DELETE FROM workers")
        assert not await one.beat(lease)


async def test_a_gap_in_the_looks_proves_nothing(database: Database) -> None:
    """The database, or the one who looks, was away: the others get all of their time again."""
    async with member(database, "one", lease_seconds=2.5) as one:
        await one.join()
        seconds = Watch()
        watcher = watcher_of(database, seconds)
        await watcher.check()
        seconds.now += 2.6
        await watcher.check()
        assert names(database) == ["one"]
        await watcher.disconnect()


@pytest.mark.parametrize("since", ["61", "30"])
async def test_who_has_just_come_counts_the_silence_before_by_the_database_s_clock(
    database: Database, since: str
) -> None:
    """All others were lost at once: nobody saw them fall silent."""
    async with member(database, "one", LEASE_SECONDS) as one:
        await one.join()
        with database.transaction() as tx:
            tx.connection.exec_driver_sql(f"UPDATE workers SET seen_at = seen_at - interval '{since} s'")
        seconds = Watch()
        watcher = watcher_of(database, seconds)
        began = seconds.now
        while names(database) and seconds.now < began + 0.9 * LEASE_SECONDS:
            await watcher.check()
            seconds.now += 1.0
        if since == "61":
            assert LEASE_SECONDS * OWN_SHARE < seconds.now - began < LEASE_SECONDS * OWN_SHARE + 3
        else:
            assert names(database) == ["one"]
        await watcher.disconnect()


async def test_a_clock_of_the_database_that_jumps_strikes_nobody_off_who_beats(database: Database) -> None:
    async with member(database, "one", LEASE_SECONDS) as one:
        lease = await one.join()
        seconds = Watch()
        watcher = watcher_of(database, seconds)
        for _ in range(100):
            assert await one.beat(lease)
            with database.transaction() as tx:
                tx.connection.exec_driver_sql("UPDATE workers SET seen_at = seen_at - interval '1 day'")
            await watcher.check()
            seconds.now += 1.0
        assert names(database) == ["one"]
        await watcher.disconnect()


async def insert(database: Database, machine: str, *identities: str) -> None:
    row = {"machine": machine, "processes": json.dumps(identities)}
    at = "clock_timestamp()"
    query = f"INSERT INTO workers VALUES ('dead', %(machine)s, %(processes)s, 600, 0, {at}, {at}, 1)"
    with database.transaction() as tx:
        tx.connection.exec_driver_sql(query, row)


@pytest.mark.parametrize("where", ["here", "elsewhere"])
async def test_processes_that_have_ended_prove_it_on_their_own_machine_alone(database: Database, where: str) -> None:
    ended = subprocess.Popen(["true"])
    identity = processes.identity(ended.pid)
    assert identity is not None
    await insert(database, processes.machine() if where == "here" else "another machine", identity)
    watcher = Membership(database, worker="one", lease_seconds=600.0, children=lambda: ())
    assert ended.wait(20) == 0
    await watcher.check()
    assert names(database) == ([] if where == "here" else ["dead"])
    await watcher.disconnect()


async def test_one_process_that_is_left_is_enough_to_wait(database: Database) -> None:
    """A broker that goes on for a moment may still have the token."""
    with subprocess.Popen(["sleep", "600"]) as left:
        identity = processes.identity(left.pid)
        assert identity is not None
        await insert(database, processes.machine(), "999999999 1", identity)
        watcher = Membership(database, worker="one", lease_seconds=600.0, children=lambda: ())
        await watcher.check()
        assert names(database) == ["dead"]
        left.kill()
        left.wait(20)
        await watcher.check()
        assert names(database) == []
        await watcher.disconnect()
