"""Figures from the database, for monitoring."""

from __future__ import annotations

import secrets

import sqlalchemy as sa

from gitward.sessions.model import ACTIVE_STATES, RunState, now
from gitward.sessions.places import HAS_PLACE, WAITS, RunLimits
from gitward.store import schema
from gitward.store.database import Transaction
from gitward.telemetry.metrics import Figures

_runs, _tickets, _schedules = schema.runs, schema.tickets, schema.schedules
_keys = schema.idempotency_keys
_UNFINISHED = (RunState.QUEUED, *sorted(ACTIVE_STATES))


def read_figures(tx: Transaction, limits: RunLimits) -> Figures:
    """In a snapshot; by indexes, so that it is cheap with 10,000 waiting runs."""
    by_state = (
        sa.select(_runs.c.state, sa.func.count().label("runs"))
        .where(_runs.c.state.in_(_UNFINISHED))
        .group_by(_runs.c.state)
    )
    runs = dict.fromkeys(_UNFINISHED, 0)
    for row in tx.execute(by_state):
        runs[RunState(row.state)] = row.runs
    waiting = _count(tx, _tickets, WAITS)
    taken = _count(tx, _tickets, HAS_PLACE)
    begun = runs[RunState.RUNNING] + runs[RunState.CANCELLING]
    admitted = max(0, taken - begun)
    paused, schedules = _count(tx, _schedules, _schedules.c.paused), _count(tx, _schedules)
    queued = {
        "place": waiting,
        "worker": admitted,
        "session": max(0, runs[RunState.QUEUED] - waiting - admitted),
    }
    return Figures(
        runs={state.value: count for state, count in runs.items()},
        queued=queued,
        oldest_seconds=_oldest(tx),
        places=limits.total,
        places_taken=taken,
        schedules={"active": schedules - paused, "paused": paused},
    )


def check_tables(tx: Transaction) -> None:
    """Raises when the tables cannot be read: a database that answers may be damaged, or another one."""
    for table in (schema.sessions, _runs, schema.events, _tickets, schema.workers):
        tx.execute(sa.select(table).limit(1)).all()


def check_writes(tx: Transaction) -> None:
    """Writes a row and removes it: raises when the database takes no write."""
    row = {"issuer": "", "subject": "", "key": f"trial {secrets.token_hex(8)}"}  # no caller has an empty issuer
    more = {"fingerprint": "", "answer": {}, "created_at": now()}
    tx.execute(sa.insert(_keys).values(**row, **more))
    tx.execute(sa.delete(_keys).where(*(_keys.c[name] == value for name, value in row.items())))


def _count(tx: Transaction, table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
    query = sa.select(sa.func.count()).select_from(table).where(*where)
    return int(tx.execute(query).scalar_one())


def _oldest(tx: Transaction) -> float:
    first = sa.select(sa.func.min(_tickets.c.waiting_since)).join(_runs, _runs.c.id == _tickets.c.run_id)
    since = tx.execute(first.where(_runs.c.state == RunState.QUEUED)).scalar_one()
    return max(0.0, (now() - since).total_seconds()) if since else 0.0
