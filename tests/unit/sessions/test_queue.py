"""A run whose job is over without an end of its own gets one, and its place goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from gitward.sessions.model import Instruction, Owner, RunState
from gitward.sessions.places import Places, RunLimits
from gitward.sessions.progress import AttemptLost
from gitward.sessions.queue import ABANDONED, RunQueue
from gitward.sessions.service import SessionService
from gitward.store import schema
from gitward.workers.queue import Taken
from tests_support import Backend


def take(backend: Backend, worker: str) -> Taken | None:
    with backend.database.transaction() as tx:
        return backend.queue.take(tx, worker)


def live(backend: Backend, *workers: str) -> None:
    """These are in the list of workers."""
    with backend.database.transaction() as tx:
        for worker in workers:
            backend.queue.join_alone(tx, worker)


async def test_it_fails_and_the_next_one_gets_its_place(backend: Backend, alice: Owner) -> None:
    places = Places(backend.notifier, RunLimits(total=1, per_user=1))
    sessions = SessionService(places=places, journal=backend.journal)
    queue = RunQueue(places=places, journal=backend.journal)
    backend = replace(backend, places=places, sessions=sessions, queue=queue)
    stray, waiting = await backend.create(alice), await backend.create(alice)
    live(backend, "worker-1")
    assert take(backend, "worker-1") is not None
    assert take(backend, "worker-1") is None
    with backend.database.transaction() as tx:
        assert queue.held(tx, "worker-1") == [stray.runs[0].id]
        assert queue.abandon(tx, "worker-1", stray.runs[0].id)
    run = (await backend.get(alice, stray.id)).runs[0]
    assert (run.state, run.reason, run.message) == (RunState.FAILED, "internal", ABANDONED)
    assert await backend.jobs() == [stray.runs[0].id, waiting.runs[0].id]
    with backend.database.transaction() as tx:
        assert not queue.abandon(tx, "worker-1", stray.runs[0].id)
        assert queue.held(tx, "worker-1") == []


async def test_runs_of_others_are_left_alone(backend: Backend, alice: Owner) -> None:
    running, queued, ended = [await backend.create(alice) for _ in range(3)]
    live(backend, "worker-1")
    assert take(backend, "worker-1") is not None
    await backend.end(ended.runs[0].id)
    for session in (running, queued, ended):
        with backend.database.transaction() as tx:
            assert not backend.queue.abandon(tx, "worker-2", session.runs[0].id)
    assert (await backend.get(alice, running.id)).state is RunState.RUNNING
    assert (await backend.get(alice, queued.id)).state is RunState.QUEUED
    assert (await backend.get(alice, ended.id)).state is RunState.SUCCEEDED


async def test_a_run_is_taken_in_the_order_of_places_and_from_the_dead_alone(backend: Backend, alice: Owner) -> None:
    first, second = await backend.create(alice), await backend.create(alice)
    live(backend, "worker-1")
    taken = [take(backend, "worker-1") for _ in range(3)]
    assert [each and each.run_id for each in taken] == [first.runs[0].id, second.runs[0].id, None]
    live(backend, "worker-2")
    again = [take(backend, "worker-2") for _ in range(3)]
    assert [each and (each.run_id, each.attempt) for each in again] == [
        (first.runs[0].id, 2),
        (second.runs[0].id, 2),
        None,
    ]


async def test_what_an_old_attempt_would_keep_is_refused(backend: Backend, alice: Owner) -> None:
    await backend.create(alice)
    live(backend, "worker-1")
    old = take(backend, "worker-1")
    assert old is not None
    with backend.database.transaction() as tx:
        assert backend.queue.keep(tx, "worker-1", old, {"preflight": {"n": 1}})
    live(backend, "worker-2")
    new = take(backend, "worker-2")
    assert new is not None
    assert new.checkpoints == {"preflight": {"n": 1}}
    with backend.database.transaction() as tx, pytest.raises(AttemptLost):
        backend.queue.keep(tx, "worker-1", old, {"work": {}})
    with backend.database.transaction() as tx:
        assert backend.queue.keep(tx, "worker-2", new, {**new.checkpoints, "work": {"n": 2}})
        kept = tx.execute(sa.select(schema.runs.c.checkpoints)).scalar_one()
    assert kept == {"preflight": {"n": 1}, "work": {"n": 2}}


async def test_of_a_run_that_has_ended_nothing_need_be_kept(backend: Backend, alice: Owner) -> None:
    await backend.create(alice)
    live(backend, "worker-1")
    taken = take(backend, "worker-1")
    assert taken is not None
    await backend.end(taken.run_id)
    with backend.database.transaction() as tx:
        assert not backend.queue.keep(tx, "worker-1", taken, {"settle": {}})


async def test_workers_of_before_there_were_agents_leave_prompts_alone(backend: Backend, alice: Owner) -> None:
    """They would take one for a run without an instruction, and call it a success. They take versions up to 1."""
    await backend.create(alice, instruction=Instruction(command="make"))
    await backend.create(alice, instruction=Instruction(prompt="Tidy up", agent="claude"))
    assert await versions(backend) == [None, 2]
    live(backend, "worker-1")
    for _ in range(2):
        taken = take(backend, "worker-1")
        assert taken is not None
        with backend.database.transaction() as tx:
            assert backend.queue.keep(tx, "worker-1", taken, {"preflight": {}})
    assert await versions(backend) == [1, 2]
    live(backend, "worker-2")
    assert take(backend, "worker-2") is not None
    assert take(backend, "worker-2") is not None


async def versions(backend: Backend) -> list[int | None]:
    query = sa.select(schema.runs.c.checkpoints_version).order_by(schema.runs.c.created_at)
    return await backend.database.read(lambda tx: list(tx.execute(query).scalars()))
