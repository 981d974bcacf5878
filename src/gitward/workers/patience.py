"""DBOS waits while the disk under its SQLite database is full, as it does while the database is locked.

Otherwise a checkpoint that cannot be written ends its workflow, and the run would be `running` for ever.
"""

from __future__ import annotations

import sqlite3

import sqlalchemy as sa
from dbos import DBOS
from sqlalchemy import event

_PASSING = ("database or disk is full", "disk I/O error", "unable to open database file")


def teach(dbos: DBOS) -> None:
    """To be called after the launch. The engine is private to DBOS; a test sees that the lesson still works."""
    wait_for_room(dbos._sys_db.engine)


def wait_for_room(engine: sa.Engine) -> None:
    """From now on a full disk is told as what DBOS tries again without an end: a locked database."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "handle_error", _as_locked)


def _as_locked(context: sa.engine.ExceptionContext) -> BaseException | None:
    """The error to raise instead. What was to be written is left out of it: its text goes to the log."""
    error = context.original_exception
    if not isinstance(error, sqlite3.OperationalError) or not any(text in str(error) for text in _PASSING):
        return None
    told = sqlite3.OperationalError(f"database is locked: {error}")
    return sa.exc.OperationalError(str(context.statement), None, told)
