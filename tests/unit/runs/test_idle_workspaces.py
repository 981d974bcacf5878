"""Idle workspaces go, with whatever foreign code left in them, and nothing else does."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gitward.runs.storage import workspace_names
from gitward.runs.upkeep.idle_workspaces import remove_idle
from gitward.sandboxes import workspace_lock, workspace_removal
from gitward.sessions.model import Owner, Session, new_id
from tests_support import Backend

HOURS = 72


@pytest.fixture
def workspaces(tmp_path: Path) -> Path:
    folder = tmp_path / "workspaces"
    folder.mkdir()
    return folder


def make(workspaces: Path, name: str) -> Path:
    folder = workspaces / name
    (folder / "work" / "repo").mkdir(parents=True)
    (folder / "home").mkdir()
    (folder / "work" / "repo" / "file").write_text("content")
    return folder


def later(hours: float) -> datetime:
    return datetime.now(UTC) + timedelta(hours=hours)


async def ended(backend: Backend, owner: Owner) -> Session:
    session = await backend.create(owner)
    await backend.end(session.runs[0].id)
    return session


async def test_it_goes_after_its_time_and_not_before(backend: Backend, alice: Owner, workspaces: Path) -> None:
    folder = make(workspaces, (await ended(backend, alice)).id)
    assert await remove_idle(backend.database, workspaces, hours=HOURS, at=later(HOURS - 1)) == 0
    assert folder.exists()
    assert await remove_idle(backend.database, workspaces, hours=HOURS, at=later(HOURS + 1)) == 1
    assert list(workspaces.iterdir()) == []


async def test_a_noted_session_is_looked_for_whatever_the_folders_name(
    backend: Backend, alice: Owner, workspaces: Path
) -> None:
    """The name says nothing, as a sandbox can read it; the id stands in a file that no sandbox sees."""
    queued, idle = await backend.create(alice), await ended(backend, alice)
    for session in (queued, idle):
        workspace_names.prepare(workspaces, session.id)
        folder = make(workspaces, workspace_names.workspace_of(workspaces, session.id).name)
        assert session.id not in str(folder)
        assert workspace_names.session_of(folder) == session.id
    assert await remove_idle(backend.database, workspaces, hours=HOURS, at=later(HOURS + 1)) == 1
    assert [workspace_names.session_of(folder) for folder in workspaces.iterdir()] == [queued.id]


async def test_a_folder_that_is_named_as_once_is_taken_over(backend: Backend, alice: Owner, workspaces: Path) -> None:
    session = await backend.create(alice)
    make(workspaces, session.id)
    workspace_names.prepare(workspaces, session.id)
    assert [path.name for path in workspaces.iterdir()] == [workspace_names.workspace_of(workspaces, session.id).name]
    assert (workspace_names.workspace_of(workspaces, session.id) / "work/repo/file").read_text() == "content"


async def test_it_stays_while_a_run_has_not_ended(backend: Backend, alice: Owner, workspaces: Path) -> None:
    queued, running = await backend.create(alice), await backend.create(alice)
    with backend.database.transaction() as tx:
        backend.progress().claim(tx, running.runs[0].id)
    for session in (queued, running):
        make(workspaces, session.id)
    assert await remove_idle(backend.database, workspaces, hours=HOURS, at=later(HOURS * 100)) == 0
    assert len(list(workspaces.iterdir())) == 2


async def test_the_workspace_of_a_session_that_is_gone_goes_too(backend: Backend, workspaces: Path) -> None:
    make(workspaces, new_id("ses"))
    assert await remove_idle(backend.database, workspaces, hours=HOURS) == 0, "it changed just now"
    assert await remove_idle(backend.database, workspaces, hours=HOURS, at=later(HOURS + 1)) == 1


async def test_what_a_killed_worker_had_begun_to_remove_is_finished(backend: Backend, workspaces: Path) -> None:
    workspace_removal.set_aside(make(workspaces, new_id("ses")))
    assert await remove_idle(backend.database, workspaces, hours=HOURS) == 1
    assert list(workspaces.iterdir()) == []


async def test_links_lead_nowhere_and_locked_folders_are_no_hindrance(
    backend: Backend, alice: Owner, workspaces: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("stays")
    folder = make(workspaces, (await ended(backend, alice)).id)
    checkout = folder / "work" / "repo"
    (checkout / "link").symlink_to(outside)
    (checkout / "file-link").symlink_to(outside / "precious")
    os.link(outside / "precious", checkout / "hard")
    os.mkfifo(checkout / "fifo")
    deep = checkout
    for _ in range(50):
        deep = deep / "d"
        deep.mkdir()
    deep.chmod(0)
    (checkout / "locked").mkdir(mode=0o500)
    assert await remove_idle(backend.database, workspaces, hours=HOURS, at=later(HOURS + 1)) == 1
    assert list(workspaces.iterdir()) == []
    assert (outside / "precious").read_text() == "stays"


async def test_a_link_in_place_of_a_workspace_is_left_alone(backend: Backend, workspaces: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (workspaces / new_id("ses")).symlink_to(tmp_path / "outside")
    assert await remove_idle(backend.database, workspaces, hours=HOURS, at=later(HOURS + 1)) == 0
    assert (tmp_path / "outside").is_dir()


async def test_processes_of_a_lost_worker_end_with_it(backend: Backend, alice: Owner, workspaces: Path) -> None:
    folder = make(workspaces, (await ended(backend, alice)).id)
    process = await asyncio.create_subprocess_exec("sleep", "300")
    claim = workspace_lock.acquire(folder)
    workspace_lock.record(claim, process.pid)
    os.close(claim)
    assert await remove_idle(backend.database, workspaces, hours=HOURS, at=later(HOURS + 1)) == 1
    async with asyncio.timeout(10):
        assert await process.wait() == -9


async def test_a_follow_up_that_comes_at_the_same_moment_keeps_it_or_gets_a_new_one(
    backend: Backend, alice: Owner, workspaces: Path
) -> None:
    """Whichever comes first: no run is claimed while its workspace is being set aside."""
    sessions = sorted([await ended(backend, alice) for _ in range(20)], key=lambda session: session.id)
    for session in sessions:
        make(workspaces, session.id)

    async def follow_up(session: Session) -> None:
        async with asyncio.timeout(30):
            while (workspaces / sessions[0].id).exists():
                await asyncio.sleep(0)
        instruction = session.runs[0].instruction
        run = await backend.database.write(lambda tx: backend.sessions.add_run(tx, alice, session.id, instruction))
        await backend.database.write(lambda tx: backend.progress().claim(tx, run.id))
        folder = workspaces / session.id
        folder.mkdir(exist_ok=True)  # as a sandbox does
        os.close(workspace_lock.acquire(folder))

    sweep = asyncio.create_task(remove_idle(backend.database, workspaces, hours=HOURS, at=later(HOURS + 1)))
    others = asyncio.gather(*map(follow_up, reversed(sessions)))
    removed = await sweep
    await others
    assert {folder.name for folder in workspaces.iterdir()} == {session.id for session in sessions}
    assert 1 <= removed <= len(sessions)
