"""The append-only log of a session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from gitward.sessions.model import Event, EventType
from gitward.sessions.rows import event_from_row
from gitward.sessions.webhooks import Outbox
from gitward.store import schema
from gitward.store.database import Transaction
from gitward.store.notify import Notifier

Entry = tuple[EventType, str | None, dict[str, Any]]  # type, run id, data


class Journal:
    """Writes and reads events. A write takes the session's row lock, so `seq` follows the order of commits."""

    def __init__(
        self,
        notifier: Notifier,
        told: Callable[[Sequence[Entry]], None] | None = None,
        *,
        outbox: Outbox | None = None,
    ) -> None:
        """`told` is called with what was committed; `outbox` tells others."""
        self._notifier = notifier
        self._told = told
        self._outbox = outbox

    def append(self, tx: Transaction, session_id: str, at: datetime, *entries: Entry) -> None:
        """Adds events in the caller's transaction; readers are woken when it has been committed."""
        if entries:
            self.add(tx, session_id, self.reserve(tx, session_id, at, len(entries)), at, *entries)

    def reserve(self, tx: Transaction, session_id: str, at: datetime, number: int) -> int:
        """Locks the session's row; the `seq` of the first of so many events, which `add` must then write."""
        last = tx.execute(
            sa.update(schema.sessions)
            .where(schema.sessions.c.id == session_id)
            .values(last_seq=schema.sessions.c.last_seq + number, updated_at=at)
            .returning(schema.sessions.c.last_seq)
        )
        return int(last.scalar_one()) - number + 1

    def add(self, tx: Transaction, session_id: str, first: int, at: datetime, *entries: Entry) -> None:
        """Writes events whose `seq` was reserved."""
        rows = [
            {
                "session_id": session_id,
                "seq": first + i,
                "at": at,
                "type": kind,
                "run_id": run_id,
                "data": data,
            }
            for i, (kind, run_id, data) in enumerate(entries)
        ]
        tx.execute(sa.insert(schema.events), rows)
        if self._outbox is not None:
            self._outbox.add(tx, session_id, at, entries)
        tx.after_commit(lambda: self._notifier.notify(session_id))
        if self._told is not None:
            tx.after_commit(partial(self._told, entries))

    def read(
        self, tx: Transaction, session_id: str, *, after: int, limit: int, run_id: str | None = None
    ) -> Sequence[Event]:
        """Events with `seq > after` in their order, `limit` at most; of one run only, when `run_id` is given."""
        table = schema.events
        query = sa.select(table).where(table.c.session_id == session_id, table.c.seq > after)
        if run_id is not None:
            query = query.where(table.c.run_id == run_id)
        rows = tx.execute(query.order_by(table.c.seq).limit(limit))
        return [event_from_row(row) for row in rows]
