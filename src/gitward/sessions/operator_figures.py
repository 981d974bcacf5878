"""What an operator looks at: workers, how runs ended, and where their time went. No row tells of anybody's work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from gitward.sessions.model import ACTIVE_STATES, RunState, StepState, now
from gitward.sessions.webhooks import OF_SESSION, DeliveryState
from gitward.store import schema
from gitward.store.database import Transaction

_runs, _steps, _workers, _deliveries = schema.runs, schema.steps, schema.workers, schema.deliveries
DAYS = 14
_MOST_RUNS = 5000  # the newest that are looked at for days and reasons
_MOST_STEPS = 4000
_MOST_DELIVERIES = 5000


@dataclass(frozen=True, kw_only=True)
class WorkerRow:
    id: str
    machine: str
    started_at: datetime
    seen_at: datetime
    lease_seconds: float
    runs: int


@dataclass(frozen=True, kw_only=True)
class Day:
    day: date
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0


@dataclass(frozen=True, kw_only=True)
class FailureRow:
    reason: str
    count: int
    last_at: datetime


@dataclass(frozen=True, kw_only=True)
class StepTimes:
    name: str
    median: float
    slow: float  # nine of ten were faster
    count: int


@dataclass(frozen=True, kw_only=True)
class TargetRow:
    """Messages to one of the server's webhooks, or to the callbacks of all sessions."""

    name: str
    delivered: int
    pending: int
    failed: int
    last_status: int | None  # of the newest one's last answer
    last_problem: str | None  # of the newest one that had one; without the address's path
    last_at: datetime  # when the newest was written


@dataclass(frozen=True, kw_only=True)
class OperatorFigures:
    workers: Sequence[WorkerRow]
    targets: Sequence[TargetRow]
    days: Sequence[Day]
    failures: Sequence[FailureRow]
    steps: Sequence[StepTimes]


def read_operator_figures(tx: Transaction) -> OperatorFigures:
    """Bounded, however many runs there are."""
    since = now() - timedelta(days=DAYS)
    newest = (
        sa.select(_runs.c.state, _runs.c.reason, _runs.c.ended_at)
        .where(_runs.c.ended_at >= since)
        .order_by(_runs.c.ended_at.desc())
        .limit(_MOST_RUNS)
    )
    ended = tx.execute(newest).all()
    return OperatorFigures(
        workers=_read_workers(tx),
        targets=_read_targets(tx, since),
        days=_days(ended),
        failures=_failures(ended),
        steps=_read_steps(tx, since),
    )


def _read_targets(tx: Transaction, since: datetime) -> Sequence[TargetRow]:
    """Whose message reached its target late, or never."""
    columns = (_deliveries.c.target, _deliveries.c.state, _deliveries.c.status, _deliveries.c.problem, _deliveries.c.at)
    newest = sa.select(*columns).where(_deliveries.c.at >= since).order_by(_deliveries.c.at.desc())
    found: dict[str, list[sa.Row[tuple[str, str, int | None, str | None, datetime]]]] = {}
    for row in tx.execute(newest.limit(_MOST_DELIVERIES)):
        found.setdefault(row.target, []).append(row)
    return [
        TargetRow(
            name="callbacks of sessions" if name == OF_SESSION else name,
            delivered=sum(row.state == DeliveryState.DELIVERED for row in rows),
            pending=sum(row.state == DeliveryState.PENDING for row in rows),
            failed=sum(row.state == DeliveryState.FAILED for row in rows),
            last_status=rows[0].status,
            last_problem=next((row.problem for row in rows if row.problem), None),
            last_at=rows[0].at,
        )
        for name, rows in sorted(found.items())
    ]


def _read_workers(tx: Transaction) -> Sequence[WorkerRow]:
    busy = sa.select(_runs.c.worker, sa.func.count().label("runs")).where(_runs.c.state.in_(sorted(ACTIVE_STATES)))
    counts = {row.worker: row.runs for row in tx.execute(busy.group_by(_runs.c.worker))}
    return [
        WorkerRow(
            id=row.id,
            machine=row.machine,
            started_at=row.started_at,
            seen_at=row.seen_at,
            lease_seconds=row.lease_seconds,
            runs=counts.get(row.id, 0),
        )
        for row in tx.execute(sa.select(_workers).order_by(_workers.c.started_at).limit(200))
    ]


def _days(ended: Sequence[sa.Row[tuple[str, str | None, datetime | None]]]) -> Sequence[Day]:
    today = now().date()
    counts: dict[tuple[date, str], int] = {}
    for row in ended:
        key = (row.ended_at.date(), row.state)
        counts[key] = counts.get(key, 0) + 1
    days = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    return [
        Day(
            day=each,
            succeeded=counts.get((each, RunState.SUCCEEDED), 0),
            failed=counts.get((each, RunState.FAILED), 0),
            cancelled=counts.get((each, RunState.CANCELLED), 0),
        )
        for each in days
    ]


def _failures(ended: Sequence[sa.Row[tuple[str, str | None, datetime | None]]]) -> Sequence[FailureRow]:
    found: dict[str, FailureRow] = {}
    for row in ended:  # the newest first
        if row.state == RunState.FAILED:
            reason = row.reason or "internal"
            known = found.get(reason)
            last = known.last_at if known else row.ended_at
            found[reason] = FailureRow(reason=reason, count=(known.count if known else 0) + 1, last_at=last)
    return sorted(found.values(), key=lambda each: each.last_at, reverse=True)


def _read_steps(tx: Transaction, since: datetime) -> Sequence[StepTimes]:
    query = (
        sa.select(_steps.c.name, _steps.c.position, _steps.c.seconds)
        .where(_steps.c.state == StepState.SUCCEEDED, _steps.c.started_at >= since)
        .order_by(_steps.c.started_at.desc())
        .limit(_MOST_STEPS)
    )
    times: dict[tuple[int, str], list[float]] = {}
    for row in tx.execute(query):
        times.setdefault((row.position, row.name), []).append(row.seconds or 0.0)
    made = []
    for (_, name), seconds in sorted(times.items()):
        ordered = sorted(seconds)
        slow = ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))]
        made.append(StepTimes(name=name, median=ordered[len(ordered) // 2], slow=slow, count=len(ordered)))
    return made
