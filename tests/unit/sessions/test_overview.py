"""A list by what sessions want of their owner."""

from __future__ import annotations

from gitward.sessions.model import EventType, Owner, RunState
from gitward.sessions.overview import SHOWN, From, Group, Overview, OverviewFilter, last_session, read_overview
from page_stage import AGENT, add_session, tool
from tests_support import Backend

ALICE = Owner(issuer="gitward", subject="alice")
BOB = Owner(issuer="gitward", subject="bob")
OPEN = {"number": 1, "url": "https://github.com/a/b/pull/1", "state": "open", "draft": True}


async def look(backend: Backend, **wanted: object) -> Overview:
    chosen = OverviewFilter(**wanted)  # type: ignore[arg-type] # the test's
    return await backend.database.read(lambda tx: read_overview(tx, backend.sessions, ALICE, chosen))


async def test_sessions_are_grouped_by_what_they_want(backend: Backend) -> None:
    for title, state, more in (
        ("failed", RunState.FAILED, {}),
        ("proposed", RunState.SUCCEEDED, {"pull_request": OPEN}),
        ("merged", RunState.SUCCEEDED, {"pull_request": {**OPEN, "state": "merged"}}),
        ("nothing", RunState.SUCCEEDED, {}),
        ("cancelled", RunState.CANCELLED, {}),
        ("running", RunState.RUNNING, {}),
        ("queued", RunState.QUEUED, {}),
        ("archived", RunState.FAILED, {"archived": True}),
    ):
        add_session(backend.database, ALICE, title=title, state=state, session=more)
    add_session(backend.database, BOB, title="bob's", state=RunState.FAILED)
    found = await look(backend)
    titles = {group: {each.title for each in rows} for group, rows in found.groups.items()}
    assert titles == {
        Group.NEEDS_YOU: {"failed", "proposed"},
        Group.RUNNING: {"running"},
        Group.QUEUED: {"queued"},
        Group.DONE: {"merged", "nothing", "cancelled"},
    }
    assert found.counts == {group: len(each) for group, each in titles.items()}
    assert {each.title for each in (await look(backend, archived=True)).groups[Group.DONE]} == {"archived"}


async def test_search_takes_every_word_literally(backend: Backend) -> None:
    add_session(backend.database, ALICE, title="Fix 100% of it", repo="Acme/Web", branch="gitward/under_score")
    add_session(backend.database, ALICE, title="Another", branch="gitward/underXscore")
    for text, hits in (("FIX web", 1), ("100%", 1), ("%", 1), ("under_score", 1), ("fix api", 0)):
        found = await look(backend, text=text)
        assert sum(found.counts.values()) == hits, text


async def test_origins_and_pages(backend: Backend) -> None:
    add_session(backend.database, ALICE, title="by page", session={"origin": "page"})
    add_session(backend.database, ALICE, title="by schedule", session={"schedule_id": "sch_1"})
    for number in range(SHOWN + 5):
        add_session(backend.database, ALICE, title=f"by api {number}")
    assert (await look(backend, came_from=From.PAGE)).counts == {Group.DONE: 1}
    assert (await look(backend, came_from=From.SCHEDULE)).counts == {Group.DONE: 1}
    second = await look(backend, came_from=From.API, group=Group.DONE, page=2)
    assert len(second.groups[Group.DONE]) == 5


async def test_a_running_session_tells_its_newest_and_a_queued_one_why(backend: Backend) -> None:
    events = [tool("a", "old"), tool("b", "pytest"), (EventType.AGENT_USAGE, {"used": 1, "size": 2})]
    running, _ = add_session(
        backend.database, ALICE, title="r", state=RunState.RUNNING, running="execute", instruction=AGENT, entries=events
    )
    add_session(backend.database, ALICE, title="q", state=RunState.QUEUED)
    found = await look(backend)
    assert found.news[running].data["title"] == "pytest"
    assert found.groups[Group.QUEUED][0].runs[0].queued_because
    chosen = await backend.database.read(lambda tx: last_session(tx, ALICE))
    assert chosen is not None
    assert chosen.runs[0].instruction.command == "make test"
