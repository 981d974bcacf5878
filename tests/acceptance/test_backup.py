"""The commands of docs/backup.md do what the page says."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from command_line import gitward
from documented_commands import lines, run, with_programs_of
from outside import look_at
from postgres import Postgres
from rig import warm_rig


def commands(section: str) -> list[str]:
    """The lines of the shell blocks below a heading of the page."""
    return [line for block in lines("docs/backup.md", section) for line in block]


async def test_sqlite_is_copied_while_it_is_used_and_restored(tmp_path: Path) -> None:
    for name in ("var/backups/gitward", "var/lib"):
        (tmp_path / name).mkdir(parents=True)
    backup, *restore = commands("sqlite")
    async with warm_rig() as service, service.client() as client:
        kept = await client.session(await service.repository(), command="true")
        await client.finished(kept)
        used = {"GITWARD_DATA_DIR": str(service.data)}
        await run(backup, tmp_path, **used)
        lost = await client.session(await service.repository(), command="true")
        await client.finished(lost)
        assert await service.stop() == 0
        shutil.copytree(service.data, tmp_path / "var/lib/gitward")
        for line in restore:
            await run(line, tmp_path, GITWARD_DATA_DIR=str(tmp_path / "var/lib/gitward"))
        shutil.copy(tmp_path / "var/lib/gitward/gitward.db", service.data / "gitward.db")
        for name in ("gitward.db-wal", "gitward.db-shm"):
            (service.data / name).unlink(missing_ok=True)
        await service.start()
        async with service.client() as again:
            assert (await again.get(f"/sessions/{kept['id']}"))["state"] == "succeeded"
            await again.get(f"/sessions/{lost['id']}", status=404)
            run_, _ = await again.finished(await again.session(await service.repository(), command="true"))
            assert run_["state"] == "succeeded"
    copy = tmp_path / "var/backups/gitward/gitward.db"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [path.name for path in copy.parent.iterdir()] == ["gitward.db"]


async def test_a_copy_never_replaces_a_file(tmp_path: Path) -> None:
    data = tmp_path / "data"
    there = tmp_path / "there"
    there.write_text("mine")
    environment = {"GITWARD_DATA_DIR": str(data)}
    assert (await gitward("migrate", cwd=tmp_path, **environment))[0] == 0
    code, _, err = await gitward("backup", str(there), cwd=tmp_path, **environment)
    assert (code, err) == (2, f"gitward: {there} already exists; name a new file\n")
    assert there.read_text() == "mine"
    code, _, err = await gitward("backup", str(tmp_path / "no" / "file"), cwd=tmp_path, **environment)
    assert code == 2
    assert "cannot be written" in err


async def test_for_postgres_it_names_the_right_program(tmp_path: Path) -> None:
    code, _, err = await gitward("backup", "x", cwd=tmp_path, GITWARD_DATABASE_URL="postgresql://h/n")
    assert code == 2
    assert "pg_dump" in err


async def test_postgres_is_dumped_and_restored(postgres: Postgres, tmp_path: Path) -> None:
    (tmp_path / "var/backups").mkdir(parents=True)
    name = postgres.make()
    url = postgres.url(name)
    environment = {"GITWARD_DATABASE_URL": url, "GITWARD_DATA_DIR": str(tmp_path / "data")}
    environment["PATH"] = with_programs_of(postgres.program("pg_dump"))
    add = "INSERT INTO turns VALUES ('{}', 1) RETURNING 1"
    look_and_commit(url, add.format("kept"))
    dump, *restore = commands("postgres")
    await run(dump, tmp_path, **environment)
    look_and_commit(url, add.format("lost"))
    look_and_commit(url, "CREATE TABLE of_a_newer_version (id int)")
    for line in restore:
        await run(line, tmp_path, **environment)
    assert look_at(url, "SELECT to_regclass('of_a_newer_version')") == [(None,)]
    assert look_at(url, "SELECT owner FROM turns") == [("kept",)]
    postgres.drop(name)


def look_and_commit(url: str, query: str) -> None:
    import psycopg

    with psycopg.connect(url) as connection:
        connection.execute(query.encode())


@pytest.mark.parametrize("place", [0.3, 0.6])
async def test_a_damaged_file_is_told_at_the_start(tmp_path: Path, place: float) -> None:
    environment = {"GITWARD_DATA_DIR": str(tmp_path / "data")}
    assert (await gitward("migrate", cwd=tmp_path, **environment))[0] == 0
    file = tmp_path / "data" / "gitward.db"
    assert not (tmp_path / "data" / "gitward.db-wal").exists(), "the journal was written back after the migration"
    content = bytearray(file.read_bytes())
    at = int(len(content) * place) // 4096 * 4096
    content[at : at + 4096] = b"\xff" * 4096
    file.write_bytes(content)
    code, _, err = await gitward("migrate", cwd=tmp_path, **environment)
    assert code == 2, err
    assert err.startswith("gitward: GITWARD_DATABASE_URL: the database file is damaged (")
    assert err.endswith("; stop every process that uses it, and restore a backup\n")
