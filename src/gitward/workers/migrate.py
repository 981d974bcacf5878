"""Migrates a database at the start, when no worker of an older version uses it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from gitward.errors import DatabaseUnavailable, SettingsError
from gitward.grants import processes
from gitward.store import sqlite_files
from gitward.store.database import Database, Transaction
from gitward.store.revisions import newest, revision_of
from gitward.workers.file_lock import FileLock

_TRIES, _PAUSE_SECONDS = 40, 0.25
_SECONDS = 3600.0  # to read every page of a large database, and to change its tables
_MAY_NOT = "42501"  # Postgres' insufficient_privilege
_QUEUE_REVISION = "0008"  # since then the queue is ours; who works in the way of an earlier one must have ended
_IN_USE = (
    "GITWARD_DATABASE_URL: a worker of an older version still uses this database; stop it, and start this one again"
)

Rows = Sequence[sa.Row[Any]]


async def migrate_all(database: Database) -> None:
    """Safe to run twice, and from two machines at once.

    :raises DatabaseUnavailable: the database does not answer, or refuses.
    :raises SettingsError: the file is damaged, or a newer version has changed the tables.
    """
    for left in reversed(range(_TRIES)):
        try:
            await _migrate(database)
        except sa.exc.OperationalError as error:
            lines = str(error.orig).strip().splitlines()
            why = lines[0] if lines else "it does not answer"
            # SQLite does not wait for another process that is making the file's tables or turning on its WAL.
            if left and database.is_sqlite and "locked" in why:
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            raise DatabaseUnavailable(f"GITWARD_DATABASE_URL: the database cannot be used: {why}") from None
        except sa.exc.DatabaseError as error:
            if database.is_sqlite and sqlite_files.tells_of_damage(error):
                raise sqlite_files.damaged(str(error.orig)) from None
            if getattr(error.orig, "sqlstate", None) == _MAY_NOT:
                why = str(error.orig).strip().splitlines()[0]
                message = f"GITWARD_DATABASE_URL: the database cannot be used: {why}"
                raise DatabaseUnavailable(f"{message}; its user must own the database and its tables") from None
            raise
        except TimeoutError:
            message = "GITWARD_DATABASE_URL: the database cannot be used: it does not answer"
            raise DatabaseUnavailable(message) from None
        return


async def _migrate(database: Database) -> None:
    before = await database.read(_find_obstacle, seconds=_SECONDS)
    if before == newest():
        return
    if before is None or before >= _QUEUE_REVISION:
        await database.write(_upgrade, seconds=_SECONDS)
    elif database.is_sqlite:
        with _held(FileLock(Path(f"{database.url.database}.worker"), _IN_USE)):
            await database.write(_upgrade, seconds=_SECONDS)
    else:
        ended = await _until_older_workers_ended(database)
        await database.write(partial(_upgrade_unless_they_came_back, ended), seconds=_SECONDS)
    if await database.read(revision_of) != before:
        await asyncio.to_thread(sqlite_files.empty_journal, database)


def _upgrade(tx: Transaction) -> None:
    from gitward.store.migrate import upgrade

    upgrade(tx)


def _find_obstacle(tx: Transaction) -> str | None:
    sqlite_files.check(tx)
    return revision_of(tx)


@contextlib.contextmanager
def _held(lock: FileLock) -> Iterator[None]:
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _members(tx: Transaction) -> Rows:
    known = sa.inspect(tx.connection).has_table("workers")
    return (
        tx.execute(sa.text("SELECT id, machine, processes, lease_seconds, beats FROM workers")).all() if known else []
    )


async def _until_older_workers_ended(database: Database) -> Rows:
    """Those that are still listed, and surely have ended: by their processes, or by silence.

    :raises SettingsError: one lives.
    """
    first = await database.read(_members)
    silent = [row.lease_seconds for row in first if not _has_ended(row)]
    await asyncio.sleep(max(silent, default=0.0))
    if await database.read(_members) != first:
        raise SettingsError([_IN_USE])
    return first


def _has_ended(row: sa.Row[Any]) -> bool:
    return row.machine == processes.machine() and not any(processes.is_alive(each) for each in row.processes)


def _upgrade_unless_they_came_back(ended: Rows, tx: Transaction) -> None:
    if sa.inspect(tx.connection).has_table("workers"):
        tx.execute(sa.text("LOCK TABLE workers IN ACCESS EXCLUSIVE MODE"))
    if (revision_of(tx) or "") < _QUEUE_REVISION and _members(tx) != ended:
        raise SettingsError([_IN_USE])
    _upgrade(tx)
