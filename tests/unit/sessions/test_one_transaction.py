"""Session, run, events and job commit together or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from gitward.sessions.model import Instruction, Owner, RunState
from gitward.sessions.new_session import NewSession
from gitward.store.database import Database
from outside import look
from tests_support import Backend

TABLES = ("sessions", "runs", "events", "steps", "tickets", "places")


class DiskOnFire(Exception):
    """The fault that the test puts in."""


@contextmanager
def failing_write(database: Database, number: int) -> Iterator[list[str]]:
    """Lets the write with this number fail in the driver; collects what was written before."""
    written: list[str] = []

    def before(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.split(None, 1)[0].upper() in {"INSERT", "UPDATE", "DELETE"}:
            if len(written) == number:
                raise DiskOnFire
            written.append(statement)

    event.listen(database.engine, "before_cursor_execute", before)
    try:
        yield written
    finally:
        event.remove(database.engine, "before_cursor_execute", before)


def rows(database: Database) -> dict[str, int]:
    """What another connection sees."""
    what = {"places": "tickets WHERE has_place"}  # a run with a place is what workers take
    counts = ", ".join(f"(SELECT count(*) FROM {what.get(name, name)})" for name in TABLES)
    return dict(zip(TABLES, look(database, f"SELECT {counts}")[0], strict=True))


async def create(backend: Backend, owner: Owner) -> None:
    with backend.database.transaction() as tx:
        backend.sessions.create_session(
            tx, owner, NewSession(repo="acme/widgets", instruction=Instruction(command="true"))
        )


async def test_a_failure_of_any_single_write_leaves_nothing(backend: Backend, alice: Owner) -> None:
    """Each write fails in turn; another connection then sees no row and no job."""
    await create(backend, alice)  # her first run writes one row more: her turn
    with failing_write(backend.database, -1) as writes:
        await create(backend, alice)
    before = rows(backend.database)
    assert before == {"sessions": 2, "runs": 2, "events": 4, "steps": 0, "tickets": 2, "places": 2}
    assert len(writes) >= 5, writes
    for number in range(len(writes)):
        with failing_write(backend.database, number), pytest.raises(DiskOnFire):
            await create(backend, alice)
        assert rows(backend.database) == before, writes[number]


async def test_nothing_is_seen_before_the_commit(backend: Backend, alice: Owner) -> None:
    with backend.database.transaction() as tx:
        backend.sessions.create_session(tx, alice, NewSession(repo="acme/widgets"))
        assert rows(backend.database)["sessions"] == 0
        assert rows(backend.database)["places"] == 0
    assert rows(backend.database)["places"] == 1


async def test_only_the_head_run_of_a_session_is_on_the_queue(backend: Backend, alice: Owner) -> None:
    with backend.database.transaction() as tx:
        session = backend.sessions.create_session(tx, alice, NewSession(repo="acme/widgets"))
        follow_up = backend.sessions.add_run(tx, alice, session.id, Instruction(command="true"))
    assert rows(backend.database)["runs"] == 2
    assert rows(backend.database)["places"] == 1
    with backend.database.snapshot() as tx:
        seen = backend.sessions.get_run(tx, alice, session.id, follow_up.id)
    assert seen.state is RunState.QUEUED
    assert seen.queued_because == "An earlier run of this session has not ended yet."
