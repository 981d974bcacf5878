"""The page of schedules: its owner's alone."""

from __future__ import annotations

from gitward.sessions.cron import CronTimes
from gitward.sessions.model import Instruction, Owner, RunState
from gitward.sessions.new_session import NewSession
from gitward.sessions.schedules import Schedule, ScheduleService
from gitward.store.database import Database
from page_stage import add_session

from .conftest import Visitor

ALICE = Owner(issuer="gitward", subject="alice")
HOSTILE = "<script>x</script>\u202e"


def add_schedule(database: Database, title: str = "Renew", command: str = "make update") -> Schedule:
    template = NewSession(repo="acme/docs", title=title, instruction=Instruction(command=command))
    times = CronTimes(schedule="0 6 * * MON", timezone="Europe/Berlin")
    with database.transaction() as tx:
        return ScheduleService().create(tx, ALICE, times, template, {})


def stored(database: Database) -> list[Schedule]:
    with database.transaction() as tx:
        return list(ScheduleService().list(tx, ALICE))


async def test_a_schedule_tells_when_it_comes_and_what_it_made(alices: Visitor) -> None:
    made = add_schedule(alices.database)
    sessions = [
        add_session(alices.database, ALICE, title=f"n{n}", minutes=n, state=state, session={"schedule_id": made.id})[0]
        for n, state in ((5, RunState.FAILED), (9, RunState.SUCCEEDED), (20, RunState.SUCCEEDED), (30, RunState.FAILED))
    ]
    page = await alices.get("/schedules")
    assert "0 6 * * MON" in page
    assert "Mon " in page
    assert "make update" in page
    assert [each in page for each in sessions] == [True, True, True, False]
    assert page.index(sessions[0]) < page.index(sessions[1])


async def test_pause_resume_and_delete(alices: Visitor) -> None:
    made = add_schedule(alices.database)
    await alices.post(f"/schedules/{made.id}/pause", paused="true")
    assert [(each.paused, each.next_at) for each in stored(alices.database)] == [(True, None)]
    assert "Resume" in await alices.get("/schedules?said=paused")
    await alices.post(f"/schedules/{made.id}/pause", paused="false")
    assert [each.paused for each in stored(alices.database)] == [False]
    await alices.post(f"/schedules/{made.id}/delete")
    assert stored(alices.database) == []
    assert "You have no schedules." in await alices.get("/schedules")


async def test_another_persons_schedule_is_not_there(alices: Visitor, bobs: Visitor) -> None:
    made = add_schedule(alices.database, title="Private")
    assert "Private" not in await bobs.get("/schedules")
    for act in ("pause", "delete"):
        await bobs.post(f"/schedules/{made.id}/{act}", status=404)
        answer = await alices.http.post(f"/schedules/{made.id}/{act}", data={})
        assert answer.status_code == 403
    assert [each.paused for each in stored(alices.database)] == [False]


async def test_texts_of_a_schedule_become_no_markup(alices: Visitor) -> None:
    add_schedule(alices.database, title=HOSTILE, command=HOSTILE)
    page = await alices.get("/schedules")
    assert "<script>x" not in page
    assert "\u202e" not in page


async def test_the_api_answers_scripts_at_the_same_address(alices: Visitor) -> None:
    answer = await alices.http.get("/schedules", headers={"Accept": "application/json"})
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("application/problem+json")
