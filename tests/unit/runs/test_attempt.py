"""An attempt claims its run, and gives it up when it has cost too many workers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import TypeVar, cast

import pytest
from sqlalchemy.exc import OperationalError

from gitward.errors import Reason, RunFailure
from gitward.grants.lease import Lease, LeaseLost
from gitward.runs.attempt import MAX_LOSSES, Attempt
from gitward.runs.checkpoints import RunCancelled
from gitward.runs.services import JobServices
from gitward.sessions.model import EventType, Instruction, Owner, RunState, StepName
from gitward.sessions.new_session import NewSession
from gitward.sessions.progress import AttemptLost, Progress
from gitward.store.database import Database, Transaction
from tests_support import Backend

T = TypeVar("T")


class RefusingDatabase:
    """A database that is locked for the first so many uses."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.refusals = 0

    async def write(self, change: Callable[[Transaction], T]) -> T:
        self._refuse()
        return await self._database.write(change)

    async def read(self, look: Callable[[Transaction], T]) -> T:
        self._refuse()
        return await self._database.read(look)

    def _refuse(self) -> None:
        if self.refusals:
            self.refusals -= 1
            raise OperationalError("SELECT", {}, Exception("database is locked"))


def parts_of(backend: Backend, worker: str, lease: Lease | None = None) -> JobServices:
    """As much of the parts as an attempt needs to begin."""
    progress = Progress(places=backend.places, journal=backend.journal, worker=worker)
    services = {"database": backend.database, "notifier": backend.notifier, "progress": progress}
    return cast(JobServices, SimpleNamespace(**services, lease=lease or Lease()))


async def queued_run(backend: Backend, owner: Owner) -> str:
    with backend.database.transaction() as tx:
        new = NewSession(repo="acme/widgets", instruction=Instruction(command="true"))
        return (backend.sessions.create_session(tx, owner, new)).runs[0].id


async def test_a_run_that_cost_too_many_workers_is_given_up_with_a_reason(backend: Backend, alice: Owner) -> None:
    run_id = await queued_run(backend, alice)
    for number in range(MAX_LOSSES):
        attempt = await Attempt.begin(parts_of(backend, f"worker-{number}"), run_id)
        assert (attempt.hold.attempt, attempt.hold.losses) == (number + 1, number)
    with pytest.raises(RunFailure) as failure:
        await Attempt.begin(parts_of(backend, "worker-last"), run_id)
    assert failure.value.reason is Reason.WORKER_LOST


async def test_an_orderly_stop_is_no_loss(backend: Backend, alice: Owner) -> None:
    run_id = await queued_run(backend, alice)
    for number in range(MAX_LOSSES + 3):
        services = parts_of(backend, f"worker-{number}")
        attempt = await Attempt.begin(services, run_id)
        assert (attempt.hold.attempt, attempt.hold.losses) == (number + 1, 0)
        with backend.database.transaction() as tx:
            services.progress.release(tx)


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
    with caplog.at_level("INFO", "gitward.runs.attempt"), pytest.raises(RunFailure):
        async with attempt.step(StepName.EXECUTE):
            raise RunFailure(Reason.TASK_FAILED, "The command failed.")
    assert "execute failed in" in caplog.text


async def refused_attempt(backend: Backend, owner: Owner, *, refusals: int) -> tuple[Attempt, RefusingDatabase, str]:
    session = await backend.create(owner, instruction=Instruction(command="true"))
    services = parts_of(backend, "worker-1")
    database = RefusingDatabase(backend.database)
    services.database = cast(Database, database)  # type: ignore[misc]  # a namespace, not the frozen value
    attempt = await Attempt.begin(services, session.runs[0].id)
    database.refusals = refusals
    return attempt, database, session.id


async def test_a_look_for_a_cancel_that_fails_does_not_end_the_run(backend: Backend, alice: Owner) -> None:
    attempt, database, session_id = await refused_attempt(backend, alice, refusals=1)
    watch = asyncio.create_task(attempt.wait_for_cancel())
    async with asyncio.timeout(10):
        while database.refusals:
            await asyncio.sleep(0)
        assert not watch.done()
        with backend.database.transaction() as tx:
            backend.sessions.cancel(tx, alice, session_id)
        await watch


async def test_what_is_told_waits_for_a_database_that_refuses(backend: Backend, alice: Owner) -> None:
    attempt, database, session_id = await refused_attempt(backend, alice, refusals=1)
    async with attempt.step(StepName.EXECUTE):
        database.refusals = 1
        await attempt.notice("I waited")
        database.refusals = 1
    kinds = [event.type for event in await backend.events(session_id)]
    assert kinds[-3:] == [EventType.STEP_STARTED, EventType.NOTICE, EventType.STEP_ENDED]


async def test_waiting_for_the_database_can_be_cancelled(backend: Backend, alice: Owner) -> None:
    attempt, database, _ = await refused_attempt(backend, alice, refusals=10_000)
    telling = asyncio.create_task(attempt.notice("nobody hears this"))
    async with asyncio.timeout(10):
        while database.refusals == 10_000:
            await asyncio.sleep(0)
        telling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await telling


async def test_a_run_that_is_cancelled_while_a_worker_takes_it_either_never_starts_or_is_told(
    backend: Backend, alice: Owner
) -> None:
    for _ in range(10):
        session = await backend.create(alice, instruction=Instruction(command="true"))
        services = parts_of(backend, "worker-1")

        async def cancel(session_id: str = session.id) -> None:
            with backend.database.transaction() as tx:
                backend.sessions.cancel(tx, alice, session_id)

        begun, _ = await asyncio.gather(Attempt.begin(services, session.runs[0].id), cancel(), return_exceptions=True)
        [run] = (await backend.get(alice, session.id)).runs
        if isinstance(begun, Attempt):
            assert run.state is RunState.CANCELLING
            async with asyncio.timeout(10):
                await begun.wait_for_cancel()
        else:
            assert isinstance(begun, AttemptLost | RunCancelled)
            assert run.state in {RunState.CANCELLED, RunState.CANCELLING}


async def test_a_worker_whose_lease_is_over_takes_a_run_from_nobody(backend: Backend, alice: Owner) -> None:
    """It wakes up between two steps, after another worker took the run over."""
    run_id = await queued_run(backend, alice)
    await Attempt.begin(parts_of(backend, "old"), run_id)
    new = parts_of(backend, "new")
    attempt = await Attempt.begin(new, run_id)
    lease = Lease()
    lease.give_up()
    with pytest.raises(LeaseLost):
        await Attempt.begin(parts_of(backend, "old", lease), run_id)
    with backend.database.transaction() as tx:
        assert new.progress.guard(tx, attempt.hold) is RunState.RUNNING


async def test_notices_of_what_is_done_again_are_not_told(backend: Backend, alice: Owner) -> None:
    """Those of a pass that failed are not; those of others meanwhile are, and so are those of a pass that did not."""
    attempt = await Attempt.begin(parts_of(backend, "w"), await queued_run(backend, alice))
    passing, told = asyncio.Event(), asyncio.Event()

    async def other() -> None:
        await passing.wait()
        await attempt.notice("other")
        told.set()

    beside = asyncio.create_task(other())

    async def fail() -> None:
        async with attempt.notices_if_it_ends_well():
            await asyncio.gather(attempt.notice("first"))
            passing.set()
            await told.wait()
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        await fail()
    async with attempt.notices_if_it_ends_well():
        await asyncio.gather(attempt.notice("second"))
    await beside
    events = await backend.database.read(lambda tx: backend.journal.read(tx, attempt.session.id, after=0, limit=100))
    notices = [event.data["message"] for event in events if event.type is EventType.NOTICE]
    assert notices == ["other", "second"]
