"""What a user's runs used of models on one day, by UTC: the sums that daily budgets are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from gitward.grants.usage import Usage
from gitward.sessions.model import Owner
from gitward.store import schema, upsert
from gitward.store.database import Transaction

DAYS_KEPT = 40
_days = schema.usage_days


@dataclass(frozen=True, kw_only=True)
class DayUsage:
    """Of all runs of one user."""

    requests: int = 0
    tokens: int = 0
    usd: float = 0.0

    def __sub__(self, other: DayUsage) -> DayUsage:
        return DayUsage(
            requests=self.requests - other.requests, tokens=self.tokens - other.tokens, usd=self.usd - other.usd
        )


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What was written of a run's usage."""

    today: DayUsage  # of its owner, this run included
    reserved: int = 0  # of that: requests that may still begin


def part_of(usage: Usage | None) -> DayUsage:
    """What a run's usage adds to its owner's."""
    if usage is None:
        return DayUsage()
    return DayUsage(requests=usage.requests + usage.reserved, tokens=usage.tokens.total, usd=usage.known_usd)


def day_of(at: datetime) -> str:
    return at.date().isoformat()


def read(tx: Transaction, owner: Owner, at: datetime) -> DayUsage:
    """The sums of the day of this moment."""
    row = tx.execute(sa.select(_days).where(*_own(owner), _days.c.day == day_of(at))).first()
    return DayUsage() if row is None else DayUsage(requests=row.requests, tokens=row.tokens, usd=row.usd)


def add(tx: Transaction, owner: Owner, at: datetime, more: DayUsage) -> None:
    """Adds to the sums of the day of this moment; the first of a day removes those that are old."""
    values = {"requests": more.requests, "tokens": more.tokens, "usd": more.usd}
    own = {"issuer": owner.issuer, "subject": owner.subject, "day": day_of(at)}
    sums = {name: _days.c[name] + value for name, value in values.items()}
    if tx.execute(sa.update(_days).where(*_own(owner), _days.c.day == own["day"]).values(**sums)).rowcount:
        return
    old = day_of(at - timedelta(days=DAYS_KEPT))
    tx.execute(sa.delete(_days).where(*_own(owner), _days.c.day < old))
    first = upsert.insert(tx, _days).values(**own, **values)
    tx.execute(first.on_conflict_do_update(index_elements=[_days.c.issuer, _days.c.subject, _days.c.day], set_=sums))


def _own(owner: Owner) -> tuple[sa.ColumnElement[bool], ...]:
    return _days.c.issuer == owner.issuer, _days.c.subject == owner.subject
