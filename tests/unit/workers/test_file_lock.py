"""SQLite has one worker at a time, and the kernel tells who it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitward.errors import SettingsError
from gitward.store.database import Database
from gitward.workers.file_lock import FileLock
from queued import worker_of


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


async def test_a_second_worker_on_the_same_sqlite_is_refused(database: Database) -> None:
    async def job(_run_id: str) -> None:
        pass

    one = worker_of(database)
    await one.start(lambda _shift: job)
    try:
        other = worker_of(database)
        with pytest.raises(SettingsError) as raised:
            await other.start(lambda _shift: job)
    finally:
        await one.stop()
    assert str(raised.value) == (
        "GITWARD_DATABASE_URL: another worker already uses this database; stop it before you start this one, "
        "or use Postgres, which many workers can share"
    )


def test_the_lock_is_free_when_its_holder_ends(tmp_path: Path) -> None:
    """However it ends: the kernel frees it. It is private, and harmless to give back twice."""
    path = tmp_path / "lock"
    one, other = FileLock(path, "taken"), FileLock(path, "taken")
    one.acquire()
    one.acquire()
    with pytest.raises(SettingsError, match=r"^taken$"):
        other.acquire()
    one.release()
    one.release()
    other.acquire()
    other.release()
    assert path.stat().st_mode & 0o077 == 0


async def test_a_start_that_fails_gives_the_lock_back(tmp_path: Path) -> None:
    path = tmp_path / "gitward.db"
    path.write_bytes(b"this is no database" * 100)
    broken = Database(f"sqlite:///{path}")

    async def job(_run_id: str) -> None:
        pass

    worker = worker_of(broken)
    with pytest.raises(Exception, match="not a database"):
        await worker.start(lambda _shift: job)
    lock = FileLock(Path(f"{path}.worker"), "taken")
    lock.acquire()
    lock.release()
    await broken.stop()
