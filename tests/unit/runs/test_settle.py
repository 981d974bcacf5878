"""A run is settled, also when the database refuses for a while."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import TypeVar, cast

import pytest
from sqlalchemy.exc import OperationalError

from gitward.grants.lease import Lease
from gitward.runs.checkpoints import RunCancelled
from gitward.runs.services import JobServices
from gitward.runs.steps.settle import cancelled, settle, succeeded
from gitward.sessions.model import EventType, Instruction, Owner, RunState
from gitward.sessions.progress import AttemptLost
from gitward.store.database import Database, Transaction
from tests_support import Backend

T = TypeVar("T")


class RefusingDatabase:
    """A database that is locked for the first writers."""

    def __init__(self, database: Database, refusals: int) -> None:
        self._database = database
        self.refusals = refusals

    async def write(self, change: Callable[[Transaction], T]) -> T:
        if self.refusals:
            self.refusals -= 1
            raise OperationalError("BEGIN IMMEDIATE", {}, Exception("database is locked"))
        return await self._database.write(change)


async def test_a_run_does_not_stay_running_because_the_database_refused(backend: Backend, alice: Owner) -> None:
    session = await backend.create(alice, instruction=Instruction(command="true"))
    database = RefusingDatabase(backend.database, refusals=1)
    parts = cast(JobServices, SimpleNamespace(database=database, progress=backend.progress(), lease=Lease()))
    await settle(parts, session.runs[0].id, cancelled(RunCancelled(), None))
    assert database.refusals == 0
    assert (await backend.get(alice, session.id)).runs[0].state is RunState.CANCELLED


async def test_a_wish_that_comes_after_the_last_step_changes_nothing(backend: Backend, alice: Owner) -> None:
    """Cancel races with success: the run ends as it went, once."""
    session = await backend.create(alice, instruction=Instruction(command="true"))
    run_id = session.runs[0].id
    parts = cast(JobServices, SimpleNamespace(database=backend.database, progress=backend.progress(), lease=Lease()))
    with backend.database.transaction() as tx:
        backend.progress().claim(tx, run_id)
    with backend.database.transaction() as tx:
        backend.sessions.cancel(tx, alice, session.id)
    result = {"message": "Pushed.", "changed": True, "head_sha": "a" * 40, "exit_code": 0}
    await settle(parts, run_id, succeeded(result, None))
    with pytest.raises(AttemptLost):
        await settle(parts, run_id, cancelled(RunCancelled(), result | {"wants_pull_request": False}))
    assert (await backend.get(alice, session.id)).runs[0].state is RunState.SUCCEEDED
    kinds = [event.type for event in await backend.events(session.id)]
    assert kinds.count(EventType.RUN_ENDED) == 1
