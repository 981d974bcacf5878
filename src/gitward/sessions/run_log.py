"""A run's log for somebody who reads it: what was said, and the output from its end backwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from gitward.sessions.model import Event, EventType
from gitward.sessions.rows import event_from_row
from gitward.store import schema
from gitward.store.database import Transaction

_events, _sessions = schema.events, schema.sessions
MOST_TOLD = 3000  # events of a run beside its output, the newest


@dataclass(frozen=True, kw_only=True)
class Output:
    """A part of a run's output, of events that follow one another."""

    pieces: tuple[Event, ...]
    has_earlier: bool


def last_seq(tx: Transaction, session_id: str) -> int:
    return int(tx.execute(sa.select(_sessions.c.last_seq).where(_sessions.c.id == session_id)).scalar_one())


def told(tx: Transaction, session_id: str, run_id: str, *, until: int) -> tuple[Sequence[Event], bool]:
    """All events of a run but its output, in their order; whether there are earlier ones."""
    query = sa.select(_events).where(*_of(session_id, run_id), _events.c.type != EventType.OUTPUT)
    query = query.where(_events.c.seq <= until).order_by(_events.c.seq.desc()).limit(MOST_TOLD + 1)
    found = [event_from_row(row) for row in tx.execute(query)]
    return found[:MOST_TOLD][::-1], len(found) > MOST_TOLD


def output_before(tx: Transaction, session_id: str, run_id: str, *, before: int, lines: int, most: int) -> Output:
    """The output before a `seq`, from there backwards: events with so many lines in all, and most characters."""
    query = sa.select(_events).where(*_of(session_id, run_id), _events.c.type == EventType.OUTPUT)
    query = query.where(_events.c.seq < before).order_by(_events.c.seq.desc())
    found: list[Event] = []
    with tx.execute(query.execution_options(yield_per=16)) as rows:
        for row in rows:
            if lines <= 0 or most <= 0:
                return Output(pieces=tuple(reversed(found)), has_earlier=True)
            found.append(event_from_row(row))
            text = str(row.data["text"])
            lines -= text.count("\n")
            most -= len(text)
    return Output(pieces=tuple(reversed(found)), has_earlier=False)


def output_pages(tx: Transaction, session_id: str, run_id: str, *, after: int, limit: int) -> Iterator[tuple[int, str]]:
    """The output after a `seq`: the `seq` and text of so many events at most."""
    query = sa.select(_events.c.seq, _events.c.data).where(
        *_of(session_id, run_id), _events.c.type == EventType.OUTPUT, _events.c.seq > after
    )
    for row in tx.execute(query.order_by(_events.c.seq).limit(limit)):
        yield row.seq, str(row.data["text"])


def _of(session_id: str, run_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (_events.c.session_id == session_id, _events.c.run_id == run_id)
