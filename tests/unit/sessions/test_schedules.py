"""Each time of a schedule makes one session, whoever looks and whatever was missed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gitward.errors import Conflict, NotFound
from gitward.runs.upkeep.periodic_tasks import fire_schedules
from gitward.sessions.cron import CronTimes
from gitward.sessions.model import Instruction, Owner, Session
from gitward.sessions.new_session import NewSession
from gitward.sessions.places import Places
from gitward.sessions.schedule_runner import LATE, STILL_ACTIVE, ScheduleRunner
from gitward.sessions.schedules import MOST, Schedule, ScheduleChange, ScheduleService
from gitward.sessions.service import SessionService
from gitward.sessions.session_list import SessionFilter
from gitward.store.database import Database, Transaction
from gitward.store.notify import Notifier
from tests_support import Backend

HOURLY = CronTimes(schedule="0 * * * *", timezone="UTC")
TEMPLATE = NewSession(
    repo="acme/widgets",
    target_branch="main",
    title="Weekly chores",
    labels=("chores",),
    submodules=("acme/other",),
    instruction=Instruction(command="make chores"),
)
SERVICE = ScheduleService()


class Clock:
    """Stands still; the test moves it."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC)

    def __call__(self, tx: Transaction) -> datetime:
        return self.at

    def move(self, **by: float) -> None:
        self.at += timedelta(**by)


def allowed(_template: NewSession, _claims: Mapping[str, Any]) -> str | None:
    return None


async def create(backend: Backend, owner: Owner, **values: Any) -> Schedule:
    with backend.database.transaction() as tx:
        return SERVICE.create(
            tx, owner, values.get("timetable", HOURLY), values.get("template", TEMPLATE), values.get("claims", {})
        )


async def change(backend: Backend, owner: Owner, schedule: Schedule, **values: Any) -> Schedule:
    with backend.database.transaction() as tx:
        return SERVICE.change(tx, owner, schedule.id, ScheduleChange(**values))


async def get(backend: Backend, owner: Owner, schedule: Schedule) -> Schedule:
    with backend.database.snapshot() as tx:
        return SERVICE.get(tx, owner, schedule.id)


async def made_by(backend: Backend, owner: Owner, schedule: Schedule) -> list[Session]:
    """Oldest first."""
    with backend.database.snapshot() as tx:
        page = backend.sessions.list_sessions(tx, owner, SessionFilter(schedule=schedule.id, limit=200))
    return list(reversed(page.items))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def firing(backend: Backend, clock: Clock) -> ScheduleRunner:
    return ScheduleRunner(backend.sessions, allowed, clock)


async def test_nothing_is_made_before_the_time_and_one_session_when_it_comes(
    backend: Backend, alice: Owner, clock: Clock, firing: ScheduleRunner
) -> None:
    schedule = await create(backend, alice)
    await fire_schedules(backend.database, firing)
    assert await made_by(backend, alice, schedule) == []
    clock.move(hours=1)
    for _ in range(3):
        await fire_schedules(backend.database, firing)
    [session] = await made_by(backend, alice, schedule)
    assert session.owner == alice
    assert (session.repo, session.target_branch, session.title) == ("acme/widgets", "main", "Weekly chores")
    assert (session.labels, session.submodules) == (("chores",), ("acme/other",))
    assert session.runs[0].instruction == TEMPLATE.instruction
    assert session.scheduled_for == schedule.next_at
    assert await backend.jobs() == [session.runs[0].id]
    assert (await backend.events(session.id))[0].data["schedule_id"] == schedule.id
    now = await get(backend, alice, schedule)
    assert (now.last_at, now.last_session_id, now.skipped_because) == (schedule.next_at, session.id, None)
    assert now.next_at == HOURLY.after(clock.at)


async def test_each_time_has_a_branch_of_its_own(
    backend: Backend, alice: Owner, clock: Clock, firing: ScheduleRunner
) -> None:
    schedule = await create(backend, alice)
    for number in range(3):
        clock.move(hours=1)
        await fire_schedules(backend.database, firing)
        sessions = await made_by(backend, alice, schedule)
        assert len(sessions) == number + 1
        await backend.end(sessions[-1].runs[0].id)
    assert len({session.branch for session in sessions}) == 3


async def test_many_workers_at_once_make_one_session_for_each_time(
    backend: Backend, alice: Owner, clock: Clock
) -> None:
    """Each with connections of its own, all looking at the same moment."""
    schedules = [await create(backend, alice) for _ in range(5)]
    clock.move(hours=1)

    async def worker() -> None:
        url = backend.database.url.set(drivername=backend.database.url.get_backend_name())
        database = Database(url.render_as_string(hide_password=False))
        sessions = SessionService(places=Places(Notifier(), backend.places.limits), journal=backend.journal)
        await fire_schedules(database, ScheduleRunner(sessions, allowed, clock))
        await database.stop()

    await asyncio.gather(*(worker() for _ in range(4)))
    for schedule in schedules:
        assert len(await made_by(backend, alice, schedule)) == 1


async def test_a_failure_while_it_is_made_leaves_the_time_to_the_next_look(
    backend: Backend, alice: Owner, clock: Clock, firing: ScheduleRunner
) -> None:
    """The session, and the step to the next time, are one transaction."""
    schedule = await create(backend, alice)
    clock.move(hours=1)

    async def fire_and_fail() -> None:
        with backend.database.transaction() as tx:
            assert firing.fire(tx, schedule.id) is not None
            raise RuntimeError("power is gone")

    with pytest.raises(RuntimeError, match="power is gone"):
        await fire_and_fail()
    assert await made_by(backend, alice, schedule) == []
    await fire_schedules(backend.database, firing)
    assert len(await made_by(backend, alice, schedule)) == 1


async def test_of_missed_times_only_the_last_is_made_up_for(
    backend: Backend, alice: Owner, clock: Clock, firing: ScheduleRunner
) -> None:
    schedule = await create(backend, alice)
    clock.move(days=40)
    for _ in range(3):
        await fire_schedules(backend.database, firing)
    [session] = await made_by(backend, alice, schedule)
    assert session.scheduled_for == HOURLY.latest(clock.at)
    assert (await get(backend, alice, schedule)).skipped_because == LATE


async def test_a_time_is_left_out_while_the_last_session_is_active(
    backend: Backend, alice: Owner, clock: Clock, firing: ScheduleRunner
) -> None:
    schedule = await create(backend, alice)
    clock.move(hours=1)
    await fire_schedules(backend.database, firing)
    [session] = await made_by(backend, alice, schedule)
    clock.move(hours=1)
    await fire_schedules(backend.database, firing)
    assert len(await made_by(backend, alice, schedule)) == 1
    skipped = await get(backend, alice, schedule)
    assert (skipped.skipped_because, skipped.last_session_id) == (STILL_ACTIVE, session.id)
    assert skipped.next_at == HOURLY.after(clock.at)
    await backend.end(session.runs[0].id)
    clock.move(hours=1)
    await fire_schedules(backend.database, firing)
    assert len(await made_by(backend, alice, schedule)) == 2
    assert (await get(backend, alice, schedule)).skipped_because is None


async def test_a_clock_that_is_set_back_makes_no_time_come_twice(
    backend: Backend, alice: Owner, clock: Clock, firing: ScheduleRunner
) -> None:
    schedule = await create(backend, alice)
    clock.move(hours=1)
    await fire_schedules(backend.database, firing)
    [session] = await made_by(backend, alice, schedule)
    await backend.end(session.runs[0].id)
    clock.move(hours=-1)
    await fire_schedules(backend.database, firing)
    await change(backend, alice, schedule, paused=True)
    await change(backend, alice, schedule, paused=False)  # it comes at the same time again
    clock.move(hours=1)
    await fire_schedules(backend.database, firing)
    assert await made_by(backend, alice, schedule) != []
    assert len(await made_by(backend, alice, schedule)) == 1


async def test_a_pause_leaves_nothing_to_catch_up(
    backend: Backend, alice: Owner, clock: Clock, firing: ScheduleRunner
) -> None:
    schedule = await create(backend, alice)
    assert (await change(backend, alice, schedule, paused=True)).next_at is None
    clock.move(hours=5)
    await fire_schedules(backend.database, firing)
    assert await made_by(backend, alice, schedule) == []
    going = await change(backend, alice, schedule, paused=False)
    assert going.next_at is not None
    assert going.next_at > datetime.now(UTC)


async def test_what_the_operator_no_longer_allows_pauses_it(backend: Backend, alice: Owner, clock: Clock) -> None:
    """With the claims that were kept when it was posted."""
    asked = []

    def refuse(template: NewSession, claims: Mapping[str, Any]) -> str:
        asked.append((template.repo, dict(claims)))
        return "Paused: it is not served here any more."

    schedule = await create(backend, alice, claims={"groups": ["a"]})
    clock.move(hours=1)
    for _ in range(2):
        await fire_schedules(backend.database, ScheduleRunner(backend.sessions, refuse, clock))
    assert asked == [("acme/widgets", {"groups": ["a"], "iss": "gitward"})]
    paused = await get(backend, alice, schedule)
    assert (paused.paused, paused.next_at) == (True, None)
    assert paused.skipped_because == "Paused: it is not served here any more."
    assert await made_by(backend, alice, schedule) == []


async def test_its_sessions_have_the_claims_that_were_kept(
    backend: Backend, alice: Owner, clock: Clock, firing: ScheduleRunner
) -> None:
    """For when the rules are asked about one of them, because its repository was renamed."""
    schedule = await create(backend, alice, claims={"groups": ["a"]})
    clock.move(hours=1)
    await fire_schedules(backend.database, firing)
    [session] = await made_by(backend, alice, schedule)
    assert session.claims == {"groups": ["a"]}


async def test_a_deleted_schedule_makes_nothing_and_its_sessions_stay(
    backend: Backend, alice: Owner, clock: Clock, firing: ScheduleRunner
) -> None:
    schedule = await create(backend, alice)
    clock.move(hours=1)
    await fire_schedules(backend.database, firing)
    with backend.database.transaction() as tx:
        SERVICE.delete(tx, alice, schedule.id)
    clock.move(hours=1)
    await fire_schedules(backend.database, firing)
    assert len(await made_by(backend, alice, schedule)) == 1


async def test_another_owner_s_schedule_is_not_there(backend: Backend, alice: Owner, bob: Owner) -> None:
    schedule = await create(backend, alice)
    for owner in (bob, replace(alice, issuer="https://other.example")):
        with backend.database.transaction() as tx:
            with pytest.raises(NotFound, match="There is no such schedule"):
                SERVICE.get(tx, owner, schedule.id)
            with pytest.raises(NotFound):
                SERVICE.change(tx, owner, schedule.id, ScheduleChange(paused=True))
            with pytest.raises(NotFound):
                SERVICE.delete(tx, owner, schedule.id)
            assert SERVICE.list(tx, owner) == []
    assert await get(backend, alice, schedule) == schedule


async def test_a_user_has_a_hundred_at_most(backend: Backend, alice: Owner, bob: Owner) -> None:
    for _ in range(MOST):
        await create(backend, alice)
    with pytest.raises(Conflict, match="You have 100 schedules"):
        await create(backend, alice)
    await create(backend, bob)
