"""An attempt claims its run, and gives it up when it has cost too many workers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from gitward.errors import Reason, RunFailure
from gitward.jobs.attempt import MAX_LOSSES, Attempt
from gitward.jobs.parts import Parts
from gitward.sessions.model import Instruction, Owner, StepName
from gitward.sessions.progress import AttemptLost, Progress
from gitward.sessions.service import NewSession
from tests_support import Backend


def parts_of(backend: Backend, worker: str) -> Parts:
    """As much of the parts as an attempt needs to begin."""
    progress = Progress(queue=backend.queue, journal=backend.journal, worker=worker)
    return cast(Parts, SimpleNamespace(database=backend.database, notifier=backend.notifier, progress=progress))


async def queued_run(backend: Backend, owner: Owner) -> str:
    async with backend.database.transaction() as tx:
        new = NewSession(repo="acme/widgets", instruction=Instruction(command="true"))
        return (await backend.sessions.create_session(tx, owner, new)).runs[0].id


async def test_a_run_that_cost_too_many_workers_is_given_up_with_a_reason(backend: Backend, alice: Owner) -> None:
    run_id = await queued_run(backend, alice)
    for number in range(MAX_LOSSES + 1):
        attempt = await Attempt.begin(parts_of(backend, f"worker-{number}"), run_id)
        assert (attempt.claim.attempt, attempt.claim.losses) == (number + 1, number)
    with pytest.raises(RunFailure) as failure:
        await Attempt.begin(parts_of(backend, "worker-last"), run_id)
    assert failure.value.reason is Reason.WORKER_LOST


async def test_an_orderly_stop_is_no_loss(backend: Backend, alice: Owner) -> None:
    run_id = await queued_run(backend, alice)
    for number in range(MAX_LOSSES + 3):
        parts = parts_of(backend, f"worker-{number}")
        attempt = await Attempt.begin(parts, run_id)
        assert (attempt.claim.attempt, attempt.claim.losses) == (number + 1, 0)
        async with backend.database.transaction() as tx:
            await parts.progress.release(tx)


async def test_an_old_attempt_may_write_nothing_more(backend: Backend, alice: Owner) -> None:
    run_id = await queued_run(backend, alice)
    old = await Attempt.begin(parts_of(backend, "worker-1"), run_id)
    await Attempt.begin(parts_of(backend, "worker-2"), run_id)
    with pytest.raises(AttemptLost):
        await old.notice("I am still here")


async def test_a_step_that_fails_is_in_the_log(
    backend: Backend, alice: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    attempt = await Attempt.begin(parts_of(backend, "worker-1"), await queued_run(backend, alice))
    with caplog.at_level("INFO", "gitward.jobs.attempt"), pytest.raises(RunFailure):
        async with attempt.step(StepName.EXECUTE):
            raise RunFailure(Reason.TASK_FAILED, "The command failed.")
    assert "execute failed in" in caplog.text
