"""A session keeps one conversation of each agent, and gives it to nobody else; the work so far is nobody's to see."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from gitward.sessions import artifacts, conversations
from gitward.sessions.artifacts import Origin
from gitward.sessions.model import ArtifactKind, EventType, Instruction, Owner, Session
from gitward.sessions.retention import Retention
from gitward.store import schema
from tests_support import Backend

CLAUDE = Instruction(prompt="Tidy up.", agent="claude")
CODEX = Instruction(prompt="Tidy up.", agent="codex")


def kept(backend: Backend, session: Session, agent: str) -> bytes | None:
    with backend.database.snapshot() as tx:
        return conversations.find(tx, session.id, agent)


def stored(backend: Backend) -> int:
    with backend.database.snapshot() as tx:
        return int(tx.execute(sa.select(sa.func.count()).select_from(schema.artifacts)).scalar_one())


async def test_one_for_each_agent_of_a_session(backend: Backend, alice: Owner) -> None:
    session, other = [await backend.create(alice, instruction=CLAUDE) for _ in range(2)]
    with backend.database.transaction() as tx:
        second = backend.sessions.add_run(tx, alice, session.id, CODEX)
        third = backend.sessions.add_run(tx, alice, session.id, CLAUDE)
    origins = [Origin(run_id=run, attempt=1) for run in (session.runs[0].id, second.id, third.id)]
    for origin, agent, content in zip(origins, ("claude", "codex", "claude"), (b"1", b"2", b"3"), strict=True):
        with backend.database.transaction() as tx:
            conversations.keep(tx, session.id, agent, origin, content)
    assert [kept(backend, session, agent) for agent in ("claude", "codex", "opencode")] == [b"3", b"2", None]
    assert kept(backend, other, "claude") is None
    assert stored(backend) == 2
    with backend.database.transaction() as tx:
        conversations.forget(tx, session.id, "claude")
    assert [kept(backend, session, agent) for agent in ("claude", "codex")] == [None, b"2"]


async def test_it_goes_with_its_session(backend: Backend, alice: Owner) -> None:
    session = await backend.create(alice, instruction=CLAUDE)
    with backend.database.transaction() as tx:
        conversations.keep(tx, session.id, "claude", Origin(run_id=session.runs[0].id, attempt=1), b"1")
    await backend.end(session.runs[0].id)
    await Retention(backend.database, days=90).sweep(datetime.now(UTC) + timedelta(days=91))
    assert stored(backend) == 0


async def test_work_so_far_is_shown_when_its_worker_is_lost(backend: Backend, alice: Owner) -> None:
    session = await backend.create(alice, instruction=CLAUDE)
    run = session.runs[0]
    origin = Origin(run_id=run.id, attempt=1)
    with backend.database.transaction() as tx:
        backend.progress("worker-1").take(tx, run.id)
        artifacts.store(tx, origin, ArtifactKind.DIFF, b"so far", so_far=True)
        artifacts.name_so_far(tx, origin, "a" * 40)
    with backend.database.snapshot() as tx:
        assert artifacts.latest(tx, session.id, ArtifactKind.DIFF, run_id=run.id, attempt=1) is None
    with backend.database.transaction() as tx:
        backend.progress("worker-2").take(tx, run.id)
    with backend.database.snapshot() as tx:
        assert artifacts.content(tx, origin, ArtifactKind.DIFF) == b"so far"
    [event] = [each for each in await backend.events(session.id) if each.type is EventType.WORK_KEPT]
    assert event.data == artifacts.kept_event(session.id, origin, "a" * 40, [ArtifactKind.DIFF])
    assert stored(backend) == 1


async def test_work_so_far_goes_when_its_run_ends(backend: Backend, alice: Owner) -> None:
    run = (await backend.create(alice, instruction=CLAUDE)).runs[0]
    with backend.database.transaction() as tx:
        backend.progress().take(tx, run.id)
        artifacts.store(tx, Origin(run_id=run.id, attempt=1), ArtifactKind.DIFF, b"so far", so_far=True)
    await backend.end(run.id)
    assert stored(backend) == 0
