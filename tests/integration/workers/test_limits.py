"""The limits hold exactly under load, each session's runs stay in their order, and a kill changes neither."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AsyncExitStack
from dataclasses import replace

import sqlalchemy as sa

from gitward.sessions.model import Instruction, Owner, RunState
from gitward.sessions.new_session import NewSession
from gitward.sessions.places import Places, RunLimits
from gitward.sessions.service import SessionService
from gitward.store import schema
from load import active_now, most_at_once, worker
from tests_support import Backend

TOTAL, PER_USER = 12, 3
LIMITS = {"total": TOTAL, "per_user": PER_USER, "slots": TOTAL}
USERS, SESSIONS, RUNS = 5, 10, 3  # 150 runs; some of five users reach the limit of one before that of all


async def post_everything(backend: Backend) -> None:
    """Sessions of all users in turn, each with follow-ups."""
    for _ in range(SESSIONS):
        for user in range(USERS):
            owner = Owner(issuer="gitward", subject=f"user-{user}")
            with backend.database.transaction() as tx:
                session = backend.sessions.create_session(tx, owner, NewSession(repo="acme/widgets"))
                for _ in range(RUNS - 1):
                    backend.sessions.add_run(tx, owner, session.id, Instruction(command="true"))


async def watch_until_all_ended(backend: Backend) -> tuple[int, int]:
    """The most that was ever seen active, in all and of one user."""
    most, most_of_one = 0, 0
    while True:
        total, of_one = await active_now(backend.database)
        most, most_of_one = max(most, total), max(most_of_one, of_one)
        if not total and (await most_at_once(backend.database))[2] == 0:
            return most, most_of_one
        await asyncio.sleep(0.05)


async def assert_sessions_kept_their_order(backend: Backend) -> None:
    table = schema.runs
    query = sa.select(table).order_by(table.c.session_id, table.c.number)
    with backend.database.snapshot() as tx:
        rows = tx.execute(query).all()
    assert len(rows) == USERS * SESSIONS * RUNS
    assert {row.state for row in rows} == {RunState.SUCCEEDED}
    for earlier, later in itertools.pairwise(rows):
        if earlier.session_id == later.session_id:
            assert earlier.ended_at <= later.started_at


async def test_limits_and_order_hold_under_load_and_across_a_kill(backend: Backend) -> None:
    """Five users want more than there are places; in the middle a worker is killed without a chance to say so.

    On Postgres a second worker shares the load and takes over; on SQLite the next one does.
    """
    places = Places(backend.notifier, RunLimits(total=TOTAL, per_user=PER_USER))
    backend = replace(backend, places=places, sessions=SessionService(places=places, journal=backend.journal))
    await post_everything(backend)
    async with AsyncExitStack() as stack:
        if not backend.database.is_sqlite:
            await stack.enter_async_context(worker(backend.database, **LIMITS, seconds=0.2))
        async with worker(backend.database, **LIMITS, seconds=0.5) as process, asyncio.timeout(300):
            while (await active_now(backend.database))[0] < TOTAL:
                await asyncio.sleep(0.05)
            process.kill()
            await process.wait()
        if backend.database.is_sqlite:
            await stack.enter_async_context(worker(backend.database, **LIMITS, seconds=0.02))
        async with asyncio.timeout(100):
            seen, seen_of_one = await watch_until_all_ended(backend)
    assert await most_at_once(backend.database) == (TOTAL, PER_USER, 0)
    assert seen <= TOTAL
    assert seen_of_one <= PER_USER
    await assert_sessions_kept_their_order(backend)
