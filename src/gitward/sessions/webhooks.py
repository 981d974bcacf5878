"""The outbox: what others are to be told of, written in the transaction of the event itself, sent later by a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from gitward.sessions.model import EventType, Owner, RunState, new_id
from gitward.store import schema
from gitward.store.database import Transaction

_callbacks, _deliveries, _sessions = schema.callbacks, schema.deliveries, schema.sessions
OF_SESSION = "session"  # the target that a caller named
MOST_LISTED = 200
# Seconds to the next try, after each that failed: about a day in all.
PAUSES = (5, 30, 120, 600, 1800, 7200, 18_000, 36_000)
CLAIM_SECONDS = 120.0  # within which whoever took a delivery has noted what came of it


class Format(StrEnum):
    """How a message is written."""

    STANDARD = "standard"  # https://www.standardwebhooks.com
    SLACK = "slack"
    NTFY = "ntfy"


class MessageType(StrEnum):
    """What a message is about."""

    RUN_ENDED = "run.ended"
    NEEDS_ATTENTION = "session.needs_attention"
    PULL_REQUEST_OPENED = "pull_request.opened"


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"  # no more tries


@dataclass(frozen=True, kw_only=True)
class Callback:
    """Where a session's owner wants to be told."""

    url: str
    secret: str | None
    format: Format


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One message to one target."""

    id: str
    session_id: str
    run_id: str | None
    type: MessageType
    data: Mapping[str, Any]  # of the event
    at: datetime
    target: str  # OF_SESSION, or the name of one of the server's
    state: DeliveryState
    tries: int
    next_at: datetime
    ended_at: datetime | None
    status: int | None  # of the last answer
    problem: str | None  # why the last try failed; a sentence without the address's path


@dataclass(frozen=True, kw_only=True)
class Due:
    """A delivery whose time has come, with what its message tells."""

    delivery: Delivery
    owner: Owner
    repo: str
    branch: str
    title: str
    callback: Callback | None  # the session's, for the target OF_SESSION


class Outbox:
    """Writes deliveries beside events. `names` are the server's own targets."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._names = tuple(names)

    def add(
        self, tx: Transaction, session_id: str, at: datetime, entries: Sequence[tuple[EventType, str | None, Any]]
    ) -> None:
        """One more statement when there is something to tell of, and one when somebody wants to know."""
        told = [(kind, run_id, data) for event, run_id, data in entries if (kind := _message_type(event, data))]
        if not told:
            return
        query = sa.select(_callbacks.c.session_id).where(_callbacks.c.session_id == session_id)
        targets = [*([OF_SESSION] if tx.execute(query).first() else []), *self._names]
        rows = [
            {
                "id": new_id("msg"),
                "session_id": session_id,
                "run_id": run_id,
                "type": kind,
                "data": data,
                "at": at,
                "target": target,
                "state": DeliveryState.PENDING,
                "tries": 0,
                "next_at": at,
            }
            for kind, run_id, data in told
            for target in targets
        ]
        if rows:
            tx.execute(sa.insert(_deliveries), rows)


def _message_type(event: EventType, data: Mapping[str, Any]) -> MessageType | None:
    if event is EventType.PULL_REQUEST_OPENED:
        return MessageType.PULL_REQUEST_OPENED
    if event is not EventType.RUN_ENDED:
        return None
    return MessageType.NEEDS_ATTENTION if data.get("state") == RunState.FAILED else MessageType.RUN_ENDED


def insert_callback(tx: Transaction, session_id: str, callback: Callback) -> None:
    tx.execute(
        sa.insert(_callbacks).values(
            session_id=session_id, url=callback.url, secret=callback.secret, format=callback.format
        )
    )


def due(tx: Transaction, at: datetime, *, limit: int) -> list[Due]:
    """Those whose time has come, the longest due first."""
    query = (
        sa.select(
            _deliveries,
            *(_sessions.c[name] for name in ("issuer", "subject", "repo", "branch", "title")),
            _callbacks.c.url,
            _callbacks.c.secret,
            _callbacks.c.format,
        )
        .join(_sessions, _sessions.c.id == _deliveries.c.session_id)
        .outerjoin(_callbacks, _callbacks.c.session_id == _deliveries.c.session_id)
        .where(_deliveries.c.state == DeliveryState.PENDING, _deliveries.c.next_at <= at)
        .order_by(_deliveries.c.next_at)
        .limit(limit)
    )
    return [_due_of(row) for row in tx.execute(query)]


def take(tx: Transaction, delivery: Delivery, at: datetime) -> bool:
    """Whether it is this worker's to send: nobody else took it since it was read."""
    taken = (
        sa.update(_deliveries)
        .where(
            _deliveries.c.id == delivery.id,
            _deliveries.c.tries == delivery.tries,
            _deliveries.c.state == DeliveryState.PENDING,
        )
        .values(tries=delivery.tries + 1, next_at=at + timedelta(seconds=CLAIM_SECONDS))
    )
    return bool(tx.execute(taken).rowcount)


def note(
    tx: Transaction,
    delivery: Delivery,
    at: datetime,
    *,
    status: int | None,
    problem: str | None,
    again: bool,
    wait_seconds: float = 0.0,
) -> None:
    """What came of a try. `again` is False where another one would not help either.

    :param wait_seconds: what the receiver asks for before the next one.
    """
    tries = delivery.tries + 1
    if problem is None:
        state = DeliveryState.DELIVERED
    else:
        state = DeliveryState.PENDING if again and tries <= len(PAUSES) else DeliveryState.FAILED
    pending = state is DeliveryState.PENDING
    tx.execute(
        sa.update(_deliveries)
        .where(_deliveries.c.id == delivery.id, _deliveries.c.tries == tries)
        .values(
            state=state,
            status=status,
            problem=problem,
            next_at=at + timedelta(seconds=max(PAUSES[tries - 1], wait_seconds)) if pending else at,
            ended_at=None if pending else at,
        )
    )


def listed(tx: Transaction, session_id: str) -> list[tuple[Delivery, str | None]]:
    """The latest of a session, the newest first, each with the address of its session's callback."""
    query = (
        sa.select(_deliveries, _callbacks.c.url)
        .outerjoin(_callbacks, _callbacks.c.session_id == _deliveries.c.session_id)
        .where(_deliveries.c.session_id == session_id)
        .order_by(_deliveries.c.at.desc(), _deliveries.c.id)
        .limit(MOST_LISTED)
    )
    return [(_delivery_of(row), row.url) for row in tx.execute(query)]


def _delivery_of(row: Any) -> Delivery:
    return Delivery(
        id=row.id,
        session_id=row.session_id,
        run_id=row.run_id,
        type=MessageType(row.type),
        data=row.data,
        at=row.at,
        target=row.target,
        state=DeliveryState(row.state),
        tries=row.tries,
        next_at=row.next_at,
        ended_at=row.ended_at,
        status=row.status,
        problem=row.problem,
    )


def _due_of(row: Any) -> Due:
    callback = Callback(url=row.url, secret=row.secret, format=Format(row.format)) if row.url else None
    return Due(
        delivery=_delivery_of(row),
        owner=Owner(issuer=row.issuer, subject=row.subject),
        repo=row.repo,
        branch=row.branch,
        title=row.title,
        callback=callback,
    )
