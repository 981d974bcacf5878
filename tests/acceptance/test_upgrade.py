"""Upgrade and the way back, by the commands of docs/upgrade.md, on both kinds of database.

The newer version is this one with one more migration, so that both are whole programs: the database of the version
before is one that this program really made and used.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
import sqlalchemy as sa

from command_line import gitward
from documented_commands import lines, run, with_programs_of
from gitward.store.database import Database
from gitward.store.revisions import newest, revision_of
from postgres import Postgres
from rig import Rig, rig

SOURCE = Path(__file__).parents[2] / "src"
NEWER = f'''"""a table of the next version"""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{newest()}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("of_the_next_version", sa.Column("id", sa.Integer(), primary_key=True))
'''
REFUSED = (
    "gitward: GITWARD_DATABASE_URL: a newer version of Gitward has changed this database, and this one does not "
    "understand it; start the newer version, or go back to a backup\n"
)


@pytest.fixture(params=["sqlite", "postgres"])
def database_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def newer(tmp_path: Path) -> dict[str, str]:
    """What makes a Python find the next version first."""
    folder = tmp_path / "newer"
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "gitward" / "store" / "migrations" / "versions" / "9999_next.py").write_text(NEWER)
    folder.chmod(0o755)
    return {"PYTHONPATH": str(folder)}


@dataclass(frozen=True, kw_only=True)
class House:
    """A service of this version with its database, and a folder in place of the page's."""

    service: Rig
    folder: Path
    kind: str
    variables: dict[str, str]
    url: str  # of the database

    async def do(self, block: list[str], **more: str) -> str:
        return "".join([await run(line, self.folder, **self.variables, **more) for line in block])

    def revision(self) -> str | None:
        database = Database(self.url)
        try:
            with database.snapshot() as tx:
                return revision_of(tx)
        finally:
            database.engine.dispose()

    def has_new_table(self) -> bool:
        database = Database(self.url)
        try:
            with database.snapshot() as tx:
                return bool(sa.inspect(tx.connection).has_table("of_the_next_version"))
        finally:
            database.engine.dispose()


@pytest_asyncio.fixture(loop_scope="session")
async def house(database_kind: str, postgres: Postgres, open_folder: Path) -> AsyncIterator[House]:
    """Its data folder is where the page says, below a folder of the test's."""
    data = open_folder / "var" / "lib" / "gitward"
    (open_folder / "var" / "backups" / "gitward").mkdir(parents=True)
    for each in (open_folder / "var", open_folder / "var" / "lib"):
        each.mkdir(exist_ok=True)
        each.chmod(0o711)
    name = postgres.make() if database_kind == "postgres" else ""
    url = postgres.url(name) if name else f"sqlite:///{data}/gitward.db"
    settings = {"GITWARD_DATA_DIR": str(data)} | ({"GITWARD_DATABASE_URL": url} if name else {})
    variables = settings | ({"PATH": with_programs_of(postgres.program("pg_dump"))} if name else {})
    async with contextlib.AsyncExitStack() as stack:
        if name:
            stack.callback(postgres.drop, name)
        service = await stack.enter_async_context(rig(None, None, **settings))
        service.data = data
        yield House(service=service, folder=open_folder, kind=database_kind, variables=variables, url=url)


async def refusal(house: House, command: str) -> tuple[int, str]:
    code, _, err = await gitward(command, cwd=house.folder, **house.variables)
    return code, err


async def test_an_upgrade_keeps_all_and_the_backup_leads_back(house: House, newer: dict[str, str]) -> None:
    service = house.service
    on_sqlite, on_postgres, migrate = lines("docs/upgrade.md", "upgrade")
    backup = on_sqlite if house.kind == "sqlite" else on_postgres
    back = lines("docs/upgrade.md", "go-back")[0 if house.kind == "sqlite" else 1]
    repository = await service.repository()
    async with service.client() as client:
        kept = await client.session(repository, command="echo kept > kept.txt")
        run_, _ = await client.finished(kept)
        assert run_["state"] == "succeeded"
    assert await service.stop() == 0
    assert house.revision() == newest()
    await house.do(backup)

    # `migrate` of the next version; then its `serve`, which goes on with the session.
    assert "up to date" in await house.do(migrate, **newer)
    assert house.revision() == "9999"
    service.environment |= newer
    await service.start()
    async with service.client() as client:
        assert (await client.get(f"/sessions/{kept['id']}"))["state"] == "succeeded"
        again = await client.post(f"/sessions/{kept['id']}/runs", {"command": "echo more >> kept.txt"})
        run_, _ = await client.finished(kept, again["id"])
        assert run_["state"] == "succeeded", run_
    assert await service.stop() == 0

    for command in ("migrate", "worker", "serve"):
        assert await refusal(house, command) == (2, REFUSED), command
    assert house.revision() == "9999", "a refusal changes nothing"

    assert "up to date" in await house.do(back)
    assert house.revision() == newest()
    assert not house.has_new_table()
    del service.environment["PYTHONPATH"]
    await service.start()
    async with service.client() as client:
        session = await client.get(f"/sessions/{kept['id']}")
        assert [each["id"] for each in session["runs"]] == [kept["runs"][0]["id"]]
        after, _ = await client.finished(await client.session(await service.repository(), command="true"))
        assert after["state"] == "succeeded"
    assert await service.stop() == 0

    # The next upgrade meets nothing of the first. `serve` does it by itself.
    service.environment |= newer
    await service.start()
    assert house.revision() == "9999"
    async with service.client() as client:
        assert (await client.get(f"/sessions/{kept['id']}"))["state"] == "succeeded"
