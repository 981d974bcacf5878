"""What `/ready` tries: a write to the database, and one to the disk of the work."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import cast

import pytest
import sqlalchemy as sa

from gitward.cli import write_check
from gitward.cli.write_check import WriteCheck
from gitward.store.database import Database
from tests_support import Backend


async def test_a_database_that_takes_no_write_is_told(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers, and reads; somebody holds what every write needs."""
    monkeypatch.setattr(write_check, "TRIAL_SECONDS", 0.5)
    monkeypatch.setattr(write_check, "FRESH_SECONDS", 0.0)
    check = WriteCheck(backend.database, None)
    with backend.database.transaction() as tx:
        if not backend.database.is_sqlite:
            tx.execute(sa.text("LOCK TABLE idempotency_keys IN ACCESS EXCLUSIVE MODE"))
        [found] = await check.checks()
    assert (found.name, found.ok, found.detail) == ("database writes", False, "The database accepts no writes.")
    async with asyncio.timeout(60):
        while not (await check.checks())[0].ok:
            await asyncio.sleep(0.05)


class _Low:
    """A database whose disk is full."""

    is_low = True

    async def write(self, *_: object, **__: object) -> None:
        raise AssertionError("it writes")


async def test_on_a_full_disk_no_trial_takes_the_reserve() -> None:
    [found] = await WriteCheck(cast(Database, _Low()), None).checks()
    assert (found.ok, found.detail) == (False, "The disk of the database is full; its reserve is for the ends of runs.")


async def test_a_disk_that_hangs_keeps_one_thread(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is asked: names are looked up by the same few threads."""
    tried, goes_on = [], threading.Event()

    def hangs(folder: Path) -> None:
        tried.append(folder)
        goes_on.wait(60)

    monkeypatch.setattr(write_check, "_fault", hangs)
    monkeypatch.setattr(write_check, "TRIAL_SECONDS", 0.05)
    monkeypatch.setattr(write_check, "FRESH_SECONDS", 0.0)
    check = WriteCheck(backend.database, tmp_path)
    try:
        for _ in range(3):
            found = (await check.checks())[-1]
            assert (found.name, found.detail) == ("disk", "The disk of the work does not answer.")
            async with asyncio.timeout(60):
                while not tried:
                    await asyncio.sleep(0.01)
        assert tried == [tmp_path]
    finally:
        goes_on.set()
    async with asyncio.timeout(60):
        while not (await check.checks())[-1].ok:
            await asyncio.sleep(0.01)
