"""Why a queued run waits: its session's order, its owner's limit, the limit of all, or only a moment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import sqlalchemy as sa

from gitward.sessions.model import ACTIVE_STATES, Owner, Run
from gitward.sessions.queries import WAITING
from gitward.store import schema
from gitward.store.database import Transaction

_sessions, _runs = schema.sessions, schema.runs


@dataclass(frozen=True, kw_only=True)
class RunLimits:
    """How many runs may be in progress at the same time."""

    total: int
    per_user: int


async def explain(tx: Transaction, owner: Owner, limits: RunLimits, runs: Iterable[Run]) -> tuple[Run, ...]:
    """The owner's runs, each queued one with the reason why it waits.

    The reasons tell how many runs others have only as far as the limit of all is reached.
    """
    runs = tuple(runs)
    if not any(run.queued_because == WAITING for run in runs):
        return runs
    reason = await _reason(tx, owner, limits)
    return tuple(replace(run, queued_because=reason) if run.queued_because == WAITING else run for run in runs)


async def _reason(tx: Transaction, owner: Owner, limits: RunLimits) -> str:
    mine = sa.and_(_sessions.c.issuer == owner.issuer, _sessions.c.subject == owner.subject)
    query = (
        sa.select(sa.func.count().label("total"), sa.func.count(sa.case((mine, 1))).label("own"))
        .select_from(_runs.join(_sessions, _runs.c.session_id == _sessions.c.id))
        .where(_runs.c.state.in_(ACTIVE_STATES))
    )
    row = (await tx.execute(query)).one()
    total, own = int(row.total), int(row.own)
    if own >= limits.per_user:
        return f"You have {own} runs in progress, as many as one user may have at the same time."
    if total >= limits.total:
        return f"All {limits.total} places for runs are taken."
    return WAITING
