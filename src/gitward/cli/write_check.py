"""Tests whether the service can write: a small write to the database, and one to the disk of the work."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from gitward.api.services import Check
from gitward.sessions import statistics
from gitward.store import disk
from gitward.store.database import Database

log = logging.getLogger(__name__)

FRESH_SECONDS = 2.0  # whoever asks more often is told what was found last: anybody may ask
TRIAL_SECONDS = 4.0  # for each of the two


class WriteCheck:
    """One trial at a time, however many ask."""

    def __init__(self, database: Database, folder: Path | None) -> None:
        """:param folder: where the work is done; None: nothing is written beside the database."""
        self._database = database
        self._folder = folder
        self._turn = asyncio.Lock()
        self._found: list[Check] = []
        self._until = 0.0
        self._trial: asyncio.Task[str | None] | None = None  # a disk that hangs keeps its thread, and so the exit

    async def checks(self) -> list[Check]:
        async with self._turn:
            if time.monotonic() >= self._until:
                self._found = [await self._try_database()]
                if self._folder is not None:
                    self._found.append(await self._try_disk(self._folder))
                self._until = time.monotonic() + FRESH_SECONDS
            return self._found

    async def _try_database(self) -> Check:
        if self._database.is_low:  # trials would take the reserve, little by little
            detail = "The disk of the database is full; its reserve is for the ends of runs."
            return Check(name="database writes", ok=False, detail=detail)
        try:
            await self._database.write(statistics.check_writes, seconds=TRIAL_SECONDS)
        except (SQLAlchemyError, OSError) as error:
            log.warning("The database accepts no writes: %s", type(error).__name__)
            fault = disk.fault_of(error)
            why = f": its disk {fault}" if fault else ""
            return Check(name="database writes", ok=False, detail=f"The database accepts no writes{why}.")
        return Check(name="database writes", ok=True, detail="The database accepted a write.")

    async def _try_disk(self, folder: Path) -> Check:
        if self._trial is None or self._trial.done():
            self._trial = asyncio.create_task(asyncio.to_thread(_fault, folder))
        await asyncio.wait([self._trial], timeout=TRIAL_SECONDS)
        fault = self._trial.result() if self._trial.done() else "does not answer"
        return Check(name="disk", ok=fault is None, detail=f"The disk of the work {fault or 'accepted a write'}.")


def _fault(folder: Path) -> str | None:
    return "is full" if disk.is_low(folder) else disk.refusal(folder)
