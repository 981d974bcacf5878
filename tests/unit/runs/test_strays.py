"""A run whose job is over without an end of its own gets one, and its place goes on."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa

from gitward.runs.strays import AGE, MESSAGE, settle_strays
from gitward.sessions.model import Owner, Run, RunState
from gitward.sessions.places import Places, RunLimits
from gitward.sessions.service import SessionService
from tests_support import Backend


async def end_the_job(backend: Backend, run: Run) -> None:
    """As if DBOS had ended it now."""
    table = "workflow_status" if backend.database.is_sqlite else "dbos.workflow_status"
    statement = f"UPDATE {table} SET status = 'ERROR', completed_at = :at WHERE workflow_uuid = :id"
    async with backend.database.transaction() as tx:
        await tx.execute(sa.text(statement), {"at": int(time.time() * 1000), "id": run.id})


async def settle(backend: Backend, after: timedelta) -> int:
    parts: Any = SimpleNamespace(database=backend.database, progress=backend.progress("nobody"))
    return await settle_strays(parts, backend.queue, datetime.now(UTC) + after)


async def test_it_fails_and_the_next_one_gets_its_place(backend: Backend, alice: Owner) -> None:
    places = Places(backend.queue, RunLimits(total=1, per_user=1))
    backend = replace(backend, places=places, sessions=SessionService(places=places, journal=backend.journal))
    stray, waiting = await backend.create(alice), await backend.create(alice)
    async with backend.database.transaction() as tx:
        await backend.progress("worker-1").claim(tx, stray.runs[0].id)
    await end_the_job(backend, stray.runs[0])
    assert await settle(backend, AGE / 2) == 0, "its own end may be on the way"
    assert await settle(backend, AGE * 2) == 1
    run = (await backend.get(alice, stray.id)).runs[0]
    assert (run.state, run.reason, run.message) == (RunState.FAILED, "internal", MESSAGE)
    assert await backend.jobs() == [stray.runs[0].id, waiting.runs[0].id]
    assert await settle(backend, AGE * 2) == 0


async def test_runs_whose_job_goes_on_are_left_alone(backend: Backend, alice: Owner) -> None:
    running, queued, ended = [await backend.create(alice) for _ in range(3)]
    async with backend.database.transaction() as tx:
        await backend.progress("worker-1").claim(tx, running.runs[0].id)
    await backend.end(ended.runs[0].id)
    await end_the_job(backend, ended.runs[0])
    assert await settle(backend, AGE * 1_000) == 0
    assert (await backend.get(alice, running.id)).state is RunState.RUNNING
    assert (await backend.get(alice, queued.id)).state is RunState.QUEUED
    assert (await backend.get(alice, ended.id)).state is RunState.SUCCEEDED
