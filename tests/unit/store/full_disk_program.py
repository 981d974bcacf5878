"""Fills the disk of a SQLite database, and writes on. Arguments: folder, MiB of reserve, "reopened" or "read-only"."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from gitward.store import disk
from gitward.store.database import Database, Transaction
from small_disks import fill


def insert(tx: Transaction) -> None:
    tx.execute(sa.text("INSERT INTO texts VALUES (:text)"), {"text": os.urandom(8000)})


def write_until_refused(database: Database) -> tuple[int, str | None]:
    for taken in range(5000):
        try:
            with database.transaction() as tx:
                insert(tx)
        except sa.exc.OperationalError as error:
            return taken, disk.fault_of(error)
    raise AssertionError("the disk is not full")


def opened(folder: Path, reserve: int) -> Database:
    database = Database(f"sqlite:///{folder}/x.db", reserve_bytes=reserve)
    database.reserve.open_up()
    with database.transaction() as tx:
        tx.execute(sa.text("CREATE TABLE IF NOT EXISTS texts (text)"))
    database.reserve.renew()
    return database


def closed(database: Database) -> None:
    database.engine.dispose()
    database.reserve.close()


def main(folder: Path, reserve: int, how: str) -> dict[str, Any]:
    database = opened(folder, reserve)
    with database.transaction() as tx:
        insert(tx)
    kept = folder / "x.db.reserve"
    seen: dict[str, Any] = {"reserve_before": kept.stat().st_size if kept.exists() else 0}
    if how == "read-only":
        closed(database)
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True, timeout=30)
        database = Database(f"sqlite:///{folder}/x.db")
        taken, fault = write_until_refused(database)
        return {"taken": taken, "fault": fault}
    if how == "reopened":
        closed(database)
    filler = fill(folder)
    if how == "reopened":
        database = opened(folder, reserve)
    seen["taken"], seen["fault"] = write_until_refused(database)
    filler.unlink()
    with database.snapshot() as tx:
        seen["rows"] = tx.execute(sa.text("SELECT count(*) FROM texts")).scalar_one()
        seen["whole"] = tx.execute(sa.text("PRAGMA quick_check")).scalar_one()
    database.reserve.renew()
    seen["reserve_after"] = kept.stat().st_size if kept.exists() else 0
    closed(database)
    return seen


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]) * disk.MiB, *sys.argv[3:] or [""])))
