"""A run is settled, also when the database refuses for a while."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import cast

from sqlalchemy.exc import OperationalError

from gitward.jobs.checkpoints import RunCancelled
from gitward.jobs.parts import Parts
from gitward.jobs.settle import cancelled, settle
from gitward.sessions.model import Instruction, Owner, RunState
from gitward.store.database import Database, Transaction
from tests_support import Backend


class RefusingDatabase:
    """A database that is locked for the first writers."""

    def __init__(self, database: Database, refusals: int) -> None:
        self._database = database
        self.refusals = refusals

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        if self.refusals:
            self.refusals -= 1
            raise OperationalError("BEGIN IMMEDIATE", {}, Exception("database is locked"))
        async with self._database.transaction() as tx:
            yield tx


async def test_a_run_does_not_stay_running_because_the_database_refused(backend: Backend, alice: Owner) -> None:
    session = await backend.create(alice, instruction=Instruction(command="true"))
    database = RefusingDatabase(backend.database, refusals=1)
    parts = cast(Parts, SimpleNamespace(database=database, progress=backend.progress()))
    await settle(parts, session.runs[0].id, cancelled(RunCancelled(), None))
    assert database.refusals == 0
    assert (await backend.get(alice, session.id)).runs[0].state is RunState.CANCELLED
