"""A user with many queued runs does not starve another, seen from when the runs really began."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from crowd import crowd
from gitward.sessions.model import Owner, now
from gitward.sessions.places import Places, RunLimits
from gitward.sessions.service import SessionService
from gitward.store import schema
from load import worker
from tests_support import Backend

MANY = 1_000


@pytest.fixture
def database_kind() -> str:
    """Who is next is decided by the same statements on both kinds (tests/unit/sessions/test_places.py)."""
    return "sqlite"


@pytest.mark.parametrize("total", [1, 4])
async def test_at_most_the_runs_that_have_a_place_begin_before_another_users(
    backend: Backend, alice: Owner, bob: Owner, total: int
) -> None:
    """Alice has 1,000 queued when Bob comes: what has a place when he posts may begin before his run, and no more."""
    places = Places(backend.notifier, RunLimits(total=total, per_user=total))
    backend = replace(backend, places=places, sessions=SessionService(places=places, journal=backend.journal))
    await crowd(backend, alice, MANY)
    with backend.database.transaction() as tx:
        places.fill(tx)
    runs = schema.runs
    began = sa.select(sa.func.count()).select_from(runs).where(runs.c.started_at.is_not(None))
    async with worker(backend.database, total=total, per_user=total, slots=total, seconds=0.05), asyncio.timeout(300):
        while await number(backend, began) < 3 * total:
            await asyncio.sleep(0.01)
        of_bob = await backend.create(bob)
        posted = now()
        while (run := (await backend.get(bob, of_bob.id)).runs[0]).started_at is None:
            await asyncio.sleep(0.01)
    others = began.where(runs.c.started_at > posted, runs.c.started_at < run.started_at)
    assert await number(backend, others) <= total


async def number(backend: Backend, query: sa.Select[Any]) -> int:
    with backend.database.snapshot() as tx:
        return int(tx.execute(query).scalar_one())
