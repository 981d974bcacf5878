"""Why a queued run waits, and at which place: its session's order, its owner's limit, the total limit, or a moment.

Places are counted among the owner's own runs. Users get their turns one after the other, so the number of others'
waiting runs says little about when this one begins, and stays private.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import sqlalchemy as sa

from gitward.sessions.model import Owner, Run, RunState
from gitward.sessions.places import HAS_PLACE, WAITS, RunLimits, Standing, owner_digest
from gitward.sessions.run_queries import WAITING
from gitward.store import schema
from gitward.store.database import Transaction

_runs, _tickets = schema.runs, schema.tickets


@dataclass(frozen=True, kw_only=True)
class _Places:
    """Where an owner's runs stand."""

    admitted: tuple[str, ...]  # have a place, and wait for a worker only
    waiting: Mapping[str, int]  # 1: the next of this owner's to get a place
    own: int  # places that the owner has
    total: int  # places that all have


def explain(tx: Transaction, owner: Owner, limits: RunLimits, runs: Iterable[Run]) -> tuple[Run, ...]:
    """The owner's runs, each queued one with the reason why it waits and its place.

    The reasons tell how many runs others have only as far as the limit of all is reached.
    """
    runs = tuple(runs)
    heads = [run.id for run in runs if run.queued_because == WAITING]
    if not heads:
        return runs
    places = _read_places(tx, owner_digest(owner), heads)
    return tuple(_explained(run, places, limits) if run.queued_because == WAITING else run for run in runs)


def explain_new(run: Run, standing: Standing, limits: RunLimits, *, has_place: bool) -> Run:
    """The same of a run that has just entered.

    :param standing: of its owner, as it was before.
    """
    if has_place:
        return replace(run, queued_because=WAITING, queue_place=standing.admitted + 1)
    place = standing.admitted + standing.waiting + 1
    return _waits(run, place, limits, own=standing.own, total=standing.total)


def _explained(run: Run, places: _Places, limits: RunLimits) -> Run:
    if run.id not in places.waiting:
        place = places.admitted.index(run.id) + 1 if run.id in places.admitted else 1
        return replace(run, queued_because=WAITING, queue_place=place)
    place = len(places.admitted) + places.waiting[run.id]
    return _waits(run, place, limits, own=places.own, total=places.total)


def _waits(run: Run, place: int, limits: RunLimits, *, own: int, total: int) -> Run:
    which = f"place {place} among your waiting runs."
    if own >= limits.per_user:
        runs = f"{own} run{'s' if own > 1 else ''}"
        reason = f"You have {runs} in progress, as many as one user may have at the same time; {which}"
    elif total >= limits.total:
        reason = f"All {limits.total} places for runs are taken; {which}"
    else:
        reason = f"Waiting for its turn; {which}"
    return replace(run, queued_because=reason, queue_place=place)


def _read_places(tx: Transaction, owner: str, run_ids: list[str]) -> _Places:
    mine = _tickets.c.owner == owner
    taken = sa.select(sa.func.count().label("total"), sa.func.count(sa.case((mine, 1))).label("own"))
    row = tx.execute(taken.select_from(_tickets).where(HAS_PLACE)).one()
    place = sa.func.row_number().over(order_by=_tickets.c.number).label("place")
    line = sa.select(_tickets.c.run_id, place).where(mine, WAITS).subquery("line")
    waiting = sa.select(line.c.run_id, line.c.place).where(line.c.run_id.in_(run_ids))
    return _Places(
        admitted=_admitted(tx, mine),
        waiting={each.run_id: each.place for each in tx.execute(waiting)},
        own=row.own,
        total=row.total,
    )


def _admitted(tx: Transaction, mine: sa.ColumnElement[bool]) -> tuple[str, ...]:
    """By primary key: a join would make Postgres read every run while its statistics are old."""
    places = sa.select(_tickets.c.run_id).where(mine, HAS_PLACE).order_by(_tickets.c.number)
    run_ids = tx.execute(places).scalars().all()
    queued = sa.select(_runs.c.id).where(_runs.c.id.in_(run_ids), _runs.c.state == RunState.QUEUED)
    begins = set(tx.execute(queued).scalars())
    return tuple(run_id for run_id in run_ids if run_id in begins)
