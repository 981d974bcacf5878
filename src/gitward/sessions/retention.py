"""Removes old sessions: in small transactions with pauses between them, so that nothing waits for it.

One process at a time does it on a database. It never removes an unfinished session or a schedule.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa

from gitward.sessions import audit_log
from gitward.sessions.model import FINAL_STATES, now
from gitward.store import schema
from gitward.store.database import Database, Transaction

log = logging.getLogger(__name__)

_sessions, _runs, _keys, _turns = schema.sessions, schema.runs, schema.idempotency_keys, schema.turns
_tickets, _artifacts, _sign_ins = schema.tickets, schema.artifacts, schema.sign_ins
KEY_LIFETIME = timedelta(hours=24)  # of an Idempotency-Key
EVENTS_AT_ONCE = 2_000  # that go in one transaction, at least one session
EVENTS_PER_PIECE = 40  # what a piece of an artifact takes to remove, in events
SESSIONS_AT_ONCE = 100
ROWS_AT_ONCE = 500
PAUSE_SECONDS = 0.02
LOOK_SECONDS = 60.0  # to find what is old; it keeps nobody waiting
TURNS_KEPT = 10_000  # a user who was served before as many others counts as new
_LOCK = 0x6769747761726403  # Postgres advisory lock: "gitward" and a number. SQLite has one worker anyway


@dataclass(frozen=True, kw_only=True)
class Removed:
    """How much went."""

    sessions: int = 0
    keys: int = 0


class Retention:
    """Does nothing but `sweep`, which is safe to call again and from many processes."""

    def __init__(self, database: Database, *, days: int, audit_days: int = 0) -> None:
        """:param days, audit_days: 0: for ever."""
        self._database = database
        self._audit_age = timedelta(days=audit_days) if audit_days else None
        self._age = timedelta(days=days) if days else None  # None: what ended is kept for ever

    async def sweep(self, at: datetime | None = None) -> Removed:
        """Removes what is too old at this moment (default: now)."""
        at = at or now()
        removed = Removed(
            sessions=await self._sessions(at - self._age) if self._age else 0,
            keys=await self._keys(at - KEY_LIFETIME),
        )
        await self._forget_turns()
        await self._little_by_little(partial(_remove_sign_ins, at))
        oldest = at - self._audit_age if self._audit_age else None
        await self._little_by_little(lambda tx: audit_log.remove_old(tx, oldest))
        if removed != Removed():
            log.info("Removed old data: %d sessions, %d keys", removed.sessions, removed.keys)
        return removed

    async def _sessions(self, before: datetime) -> int:
        query = sa.select(_sessions.c.id, _weight().label("weight")).where(*_is_old(before))
        found = await self._database.read(lambda tx: tx.execute(query).all(), seconds=LOOK_SECONDS)
        removed = 0
        for batch in _batches(found):
            gone = await self._database.write(partial(_remove_alone, batch, before))
            if gone is None:
                break
            removed += gone
            await asyncio.sleep(PAUSE_SECONDS)
        return removed

    async def _keys(self, before: datetime) -> int:
        return await self._little_by_little(partial(_remove_keys, before))

    async def _little_by_little(self, remove: Callable[[Transaction], int]) -> int:
        removed = 0
        while True:
            gone = await self._database.write(remove)
            removed += gone
            if gone < ROWS_AT_ONCE:
                return removed
            await asyncio.sleep(PAUSE_SECONDS)

    async def _forget_turns(self) -> None:
        last = sa.select(sa.func.max(_turns.c.turn)).scalar_subquery()
        waiting = sa.exists(sa.select(_tickets.c.number).where(_tickets.c.owner == _turns.c.owner))
        forgotten = sa.delete(_turns).where(_turns.c.turn < last - TURNS_KEPT, ~waiting)
        await self._database.write(lambda tx: tx.execute(forgotten).rowcount)


def _is_old(before: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    active = sa.exists(
        sa.select(_runs.c.id).where(_runs.c.session_id == _sessions.c.id, _runs.c.state.not_in(FINAL_STATES))
    )
    return _sessions.c.updated_at < before, ~active


def _weight() -> sa.ColumnElement[int]:
    """How long a session takes to remove, in events: they and the artifacts are what takes the time."""
    pieces = sa.select(sa.func.count()).select_from(_artifacts.join(_runs, _runs.c.id == _artifacts.c.run_id))
    of_session = pieces.where(_runs.c.session_id == _sessions.c.id).correlate(_sessions).scalar_subquery()
    return _sessions.c.last_seq + EVENTS_PER_PIECE * of_session


def _batches(found: Sequence[sa.Row[Any]]) -> Iterator[list[str]]:
    """Ids of sessions that are removed together, in a moment."""
    batch: list[str] = []
    weight = 0
    for row in found:
        if batch and (weight + row.weight > EVENTS_AT_ONCE or len(batch) >= SESSIONS_AT_ONCE):
            yield batch
            batch, weight = [], 0
        batch.append(row.id)
        weight += row.weight
    if batch:
        yield batch


def _remove_keys(before: datetime, tx: Transaction) -> int:
    names = (_keys.c.issuer, _keys.c.subject, _keys.c.key)
    old = tx.execute(sa.select(*names).where(_keys.c.created_at < before).limit(ROWS_AT_ONCE)).all()
    if old:
        tx.execute(sa.delete(_keys).where(sa.tuple_(*names).in_([tuple(row) for row in old])))
    return len(old)


def _remove_sign_ins(at: datetime, tx: Transaction) -> int:
    """Those of browsers that have ended; and links that nobody used."""
    tx.execute(sa.delete(schema.sign_in_links).where(schema.sign_in_links.c.expires_at <= at))
    ended = sa.select(_sign_ins.c.digest).where(_sign_ins.c.ends_at <= at).limit(ROWS_AT_ONCE)
    return tx.execute(sa.delete(_sign_ins).where(_sign_ins.c.digest.in_(tx.execute(ended).scalars().all()))).rowcount


def _remove_alone(session_ids: list[str], before: datetime, tx: Transaction) -> int | None:
    """How many were removed; None: another process is at it."""
    return _remove(tx, session_ids, before) if _is_alone(tx) else None


def _remove(tx: Transaction, session_ids: list[str], before: datetime) -> int:
    """With all that hangs on them. They are locked and looked at again: a follow-up may have come."""
    query = sa.select(_sessions.c.id).where(_sessions.c.id.in_(session_ids))
    tx.execute(query.with_for_update(skip_locked=True))
    still = tx.execute(query.where(*_is_old(before)).with_for_update(skip_locked=True)).scalars().all()
    tx.execute(sa.delete(_sessions).where(_sessions.c.id.in_(still)))
    return len(still)


def _is_alone(tx: Transaction) -> bool:
    """Whether no other process removes anything while this transaction lasts."""
    if tx.connection.dialect.name != "postgresql":
        return True
    return bool(tx.execute(sa.select(sa.func.pg_try_advisory_xact_lock(_LOCK))).scalar_one())
