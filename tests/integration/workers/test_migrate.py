"""`gitward migrate` makes every table, whoever runs it and how often."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import psycopg
import pytest

from gitward.settings.environment import clean_environment
from gitward.store.database import Database
from outside import look
from postgres import Postgres


@pytest.fixture(params=["sqlite", "postgres"])
def database_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def migrate(folder: Path, url: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gitward", "migrate"),
        env=clean_environment(GITWARD_DATA_DIR=str(folder / "data"), GITWARD_DATABASE_URL=url),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(100):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_two_at_once_and_then_once_more(tmp_path: Path, database_url: str) -> None:
    for ended in await asyncio.gather(migrate(tmp_path, database_url), migrate(tmp_path, database_url)):
        assert ended[:2] == (0, "The database is up to date\n"), ended[2]
    database = Database(database_url)
    tables = "SELECT count(*) FROM runs, workers, tickets"
    assert look(database, tables) == [(0,)]
    assert (await migrate(tmp_path, database_url))[0] == 0
    await database.stop()


async def test_a_user_that_may_make_no_tables_is_told_so(postgres: Postgres, tmp_path: Path) -> None:
    """As Postgres 15 and newer answer whoever does not own the database."""
    name = postgres.make(template="template1")
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name}_stranger LOGIN PASSWORD 'a-password'".encode())
    url = postgres.url(name)
    code, _, err = await migrate(tmp_path, f"postgresql://{name}_stranger:a-password@{url.partition('@')[2]}")
    assert (code, err.count("\n")) == (1, 1), err
    assert "permission denied for schema public; its user must own the database and its tables" in err


async def test_a_database_that_cannot_be_reached_is_told_in_a_line(tmp_path: Path) -> None:
    """With another exit code than a wrong setting has: a service manager tries again."""
    code, _, err = await migrate(tmp_path, "postgresql://nobody:secret@127.0.0.1:9/none")
    assert (code, err.count("\n")) == (1, 1), err
    assert err.startswith("gitward: GITWARD_DATABASE_URL: the database cannot be used: ")
    assert "secret" not in err
