"""The migrations make exactly the tables that the code uses, once, whoever runs them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event

from gitward.store import schema
from gitward.store.database import Database, UtcDateTime
from gitward.store.migrate import migrate
from gitward.store.migrations import versions

PROGRAM = """
import asyncio, sys
from gitward.store.database import Database
from gitward.store.migrations import versions
from gitward.workers.migrate import migrate_all

async def main():
    database = Database(sys.argv[1])
    print("ready", flush=True)
    sys.stdin.readline()
    await migrate_all(database)
    await database.stop()

asyncio.run(main())
"""


@pytest.fixture
async def empty(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.stop()


def same_type(
    _context: MigrationContext, _inspected: object, _column: object, _found: object, wanted: sa.types.TypeEngine[object]
) -> bool | None:
    """Our moments are plain timestamps to the database."""
    return False if isinstance(wanted, UtcDateTime) else None


def differences(connection: sa.Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": same_type})
    found = compare_metadata(context, schema.metadata)
    return list(found)


async def test_migrating_makes_the_tables_that_the_code_describes(empty: Database) -> None:
    await migrate(empty)
    with empty.transaction() as tx:
        assert differences(tx.connection) == []


async def test_the_comparison_sees_a_difference(empty: Database) -> None:
    """So that an empty list means something."""
    await migrate(empty)
    with empty.transaction() as tx:
        tx.execute(sa.text("ALTER TABLE sessions ADD COLUMN surplus TEXT"))
        tx.execute(sa.text("DROP INDEX ix_runs_state"))
        assert len(differences(tx.connection)) == 2


async def test_migrating_again_changes_nothing(empty: Database) -> None:
    """Every statement that writes would count."""
    await migrate(empty)
    written: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA", "BEGIN")):
            written.append(statement)

    event.listen(empty.engine, "before_cursor_execute", note)
    await migrate(empty)
    assert written == []


async def test_two_tasks_at_once_migrate_once(empty: Database) -> None:
    await asyncio.gather(migrate(empty), migrate(empty), migrate(empty))
    newest = max(path.name[:4] for path in Path(versions.__path__[0]).glob("0*.py"))
    with empty.snapshot() as tx:
        assert tx.execute(sa.text("SELECT version_num FROM alembic_version")).scalars().all() == [newest]


async def test_three_processes_at_once_migrate_once(empty: Database, database_url: str) -> None:
    """A fresh file, as when `serve` and `worker` are started together for the first time."""
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, database_url),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(3)
    ]
    async with asyncio.timeout(60):
        for process in processes:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
        ended = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert [process.returncode for process in processes] == [0, 0, 0], ended
    with empty.transaction() as tx:
        assert differences(tx.connection) == []


async def test_a_migration_that_is_cut_off_leaves_no_table(empty: Database) -> None:
    """It is one transaction."""

    class Interrupted(Exception):
        pass

    async def begin() -> None:
        with empty.transaction() as tx:
            schema.metadata.create_all(tx.connection)
            raise Interrupted

    with pytest.raises(Interrupted):
        await begin()
    with empty.snapshot() as tx:
        assert sa.inspect(tx.connection).get_table_names() == []
