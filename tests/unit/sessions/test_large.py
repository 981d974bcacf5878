"""A session with very many runs, and very many runs that wait, cost the others nothing.

Counted in steps of SQLite's machine, which are the same on every machine, however busy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from crowd import crowd
from gitward.sessions.model import Instruction, Owner, Run, RunState, Session, new_id, now
from gitward.sessions.new_session import NewSession
from gitward.sessions.run_queries import MOST_RUNS
from gitward.sessions.session_list import SessionFilter
from gitward.store import schema
from gitward.store.database import Transaction
from tests_support import Backend

RUNS, TICKETS = 33_000, 20_000
MOST_TIMES = 5.0  # the work of a small one that a large one may take
_STEP = 50


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


def work_of(backend: Backend, call: Callable[[Transaction], Any]) -> int:
    """How many steps a call takes; what it writes is rolled back."""
    steps = 0

    def note() -> int:
        nonlocal steps
        steps += 1
        return 0

    with backend.database.transaction() as tx:
        driver: Any = tx.connection.connection.driver_connection
        driver.set_progress_handler(note, _STEP)
        try:
            call(tx)
        finally:
            driver.set_progress_handler(None, _STEP)
        driver.execute("ROLLBACK")
    return steps


async def long_session(backend: Backend, owner: Owner, runs: int, state: RunState) -> Session:
    """With so many runs more than its first one."""
    session = await backend.create(owner)
    at = now()
    row: dict[str, Any] = {"session_id": session.id, "state": state, "instruction": {}, "attempt": 0, "losses": 0}
    row |= {"output_truncated": False, "created_at": at, "ended_at": at if state.is_final else None}
    with backend.database.transaction() as tx:
        rows = [{**row, "id": new_id("run"), "number": number + 2} for number in range(runs)]
        tx.execute(sa.insert(schema.runs), rows)
    return session


@pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.QUEUED])
async def test_a_session_with_33_000_runs(backend: Backend, alice: Owner, state: RunState) -> None:
    small = await long_session(backend, alice, 2 * MOST_RUNS, state)
    large = await long_session(backend, alice, RUNS, state)
    calls: dict[str, Callable[[Session], Callable[[Transaction], Any]]] = {
        "look": lambda session: lambda tx: backend.sessions.get_session(tx, alice, session.id),
        "one run": lambda session: lambda tx: backend.sessions.get_run(tx, alice, session.id, session.runs[0].id),
        "a page": lambda session: lambda tx: backend.sessions.list_runs(tx, alice, session.id, before=150, limit=50),
    }
    for name, call in calls.items():
        assert work_of(backend, call(large)) <= MOST_TIMES * work_of(backend, call(small)), name
    shown = await backend.get(alice, large.id)
    assert len(shown.runs) == MOST_RUNS
    assert (shown.runs[-1].number, shown.earlier_runs) == (RUNS + 1, RUNS + 1 - MOST_RUNS)
    if state is RunState.QUEUED:
        assert [run.queue_place for run in shown.runs] == [run.number - 1 for run in shown.runs]


async def test_all_its_runs_can_be_listed(backend: Backend, alice: Owner) -> None:
    session = await long_session(backend, alice, 249, RunState.SUCCEEDED)
    before: int | None = None
    found: list[Run] = []
    while True:
        with backend.database.snapshot() as tx:
            page = backend.sessions.list_runs(tx, alice, session.id, before=before, limit=100)
        found += page
        if len(page) < 100:
            break
        before = page[-1].number
    assert [run.number for run in found] == list(range(250, 0, -1))


async def test_a_follow_up_to_a_session_with_33_000_runs(backend: Backend, alice: Owner) -> None:
    small = await long_session(backend, alice, MOST_RUNS, RunState.SUCCEEDED)
    large = await long_session(backend, alice, RUNS, RunState.SUCCEEDED)
    add = [
        work_of(backend, lambda tx, of=of: backend.sessions.add_run(tx, alice, of.id, Instruction(command="true")))  # type: ignore[misc]  # a default of a lambda has no type
        for of in (large, small)
    ]
    assert add[0] <= MOST_TIMES * add[1]


async def test_the_next_place_with_20_000_runs_waiting(backend: Backend, alice: Owner, bob: Owner) -> None:
    """Of few users, who have queued very many: it is found by skipping, not by reading."""
    await crowd(backend, alice, 20)
    few = work_of(backend, backend.places.fill)
    await crowd(backend, alice, TICKETS // 2)
    await crowd(backend, bob, TICKETS // 2)
    assert work_of(backend, backend.places.fill) <= MOST_TIMES * few
    assert work_of(backend, backend.places.has_work) <= few


async def test_a_post_beside_20_000_runs_waiting(backend: Backend, alice: Owner, bob: Owner) -> None:
    """It counts the owner's own, in the index."""
    post = lambda tx: backend.sessions.create_session(tx, bob, NewSession(repo="acme/widgets"))  # noqa: E731  # shorter than a function of its own
    alone = work_of(backend, post)
    await crowd(backend, alice, TICKETS)
    assert work_of(backend, post) <= MOST_TIMES * alone


async def test_a_list_with_a_long_session_in_it(backend: Backend, alice: Owner) -> None:
    await long_session(backend, alice, 50, RunState.SUCCEEDED)
    look = lambda tx: backend.sessions.list_sessions(tx, alice, SessionFilter())  # noqa: E731  # shorter than a function of its own
    before = work_of(backend, look)
    await long_session(backend, alice, RUNS, RunState.SUCCEEDED)
    assert work_of(backend, look) <= MOST_TIMES * before
