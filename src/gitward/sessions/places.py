"""Which run may begin: limits in total and per user, and turns between users.

A session's first unfinished run has a ticket. The run waits for a place, and only then for a worker; it keeps its place
until it ends, even through a takeover. Tickets change under one lock, so the limits are never exceeded. That lock comes
last: a transaction locks nothing else after it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from gitward.sessions.model import Owner, RunState, now
from gitward.store import schema, upsert
from gitward.store.database import Transaction
from gitward.store.notify import Notifier
from gitward.workers.queue import WAKE

_tickets, _turns = schema.tickets, schema.turns
HAS_PLACE, WAITS = _tickets.c.has_place == sa.true(), _tickets.c.has_place == sa.false()
AT_ONCE = 20  # places that one transaction gives away; others wait for the lock meanwhile
_LOCK = 0x6769747761726402  # Postgres advisory lock: "gitward" and a number. SQLite has one writer anyway


@dataclass(frozen=True, kw_only=True)
class RunLimits:
    """How many runs may have a place at the same time."""

    total: int
    per_user: int


def owner_digest(owner: Owner) -> str:
    """Short enough for an index. The separator cannot be part of a JWT's issuer (a URL) or of our own."""
    return hashlib.sha256(f"{owner.issuer}\n{owner.subject}".encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How many places are taken, and where an owner's runs stand; at one moment."""

    total: int  # places that all have
    own: int  # places that the owner has
    admitted: int  # runs of the owner that have a place, and wait for a worker only
    waiting: int  # runs of the owner that wait for a place
    locked: bool = False  # whether the lock is held since: true when a place seemed free and it was asked for


class Places:
    """Gives places to runs, in the caller's transaction."""

    def __init__(self, notifier: Notifier, limits: RunLimits) -> None:
        self._notifier = notifier
        self.limits = limits
        # Made once: to put statements together takes longer than to carry them out.
        self._next = _next(limits)
        place = sa.select(sa.func.coalesce(sa.func.max(_turns.c.turn), 0) + 1).scalar_subquery()
        give = sa.update(_tickets).where(_tickets.c.number == self._next).values(has_place=True, place=place)
        self._give_one = give.returning(_tickets.c.run_id, _tickets.c.owner, _tickets.c.place)
        self._new_ticket = _new_ticket(limits, place)
        self._standing_locked = sa.select(*STANDING_COLUMNS, _lock_if_free(limits))

    def enter(self, tx: Transaction, run_id: str, owner: Owner, standing: Standing | None = None) -> bool:
        """The run waits from now on; whether a place was free for it at once.

        :param standing: what `standing` found a moment ago.
        """
        standing = standing or self.standing_for_entry(tx, owner)
        seems_free = standing.total < self.limits.total and standing.own < self.limits.per_user
        if seems_free and not standing.locked:
            _lock(tx)
        whose = owner_digest(owner)
        ticket = {"run_id": run_id, "owner": whose, "waiting_since": now(), "seems_free": seems_free}
        entered = tx.execute(self._new_ticket, ticket).one()
        if not entered.has_place:
            return seems_free and run_id in self._give(tx, 1)
        _take_turn(tx, whose, entered.place)
        tx.after_commit(self.notify_workers)
        return True

    def leave(self, tx: Transaction, run_id: str) -> None:
        """The run has ended. If its place gets free, it is given to the next run in the same transaction.

        One that only waited frees none: it leaves without the lock, for which hundreds of cancellations would queue up
        and keep every connection busy. Whoever gives it a place at that moment holds its ticket, so one waits for the
        other; a place that finds nobody then is given away by `fill`.
        """
        if tx.connection.dialect.name == "postgresql" and not tx.execute(_LEAVE_OR_LOCK, {"leaving": run_id}).scalar():
            return
        gone = sa.delete(_tickets).where(_tickets.c.run_id == run_id).returning(_tickets.c.has_place)
        self._give(tx, sum(tx.execute(gone).scalars()))

    def fill(self, tx: Transaction) -> int:
        """Gives away what is free, AT_ONCE at most, and says how many places that were.

        For a change of the limits, and for a run that entered, or was cancelled in the queue, while a place was being
        left: neither of the two transactions saw the other.
        """
        _lock(tx)
        return len(self._give(tx, AT_ONCE))

    def has_work(self, tx: Transaction) -> bool:
        """Whether `fill` may find something to do; cheap, and in a snapshot too."""
        return tx.execute(sa.select(self._next)).scalar() is not None

    def standing(self, tx: Transaction, owner: Owner) -> Standing:
        """In a transaction or a snapshot; one statement."""
        return standing_from_row(tx.execute(_STANDING, standing_of(owner)).one())

    def standing_for_entry(self, tx: Transaction, owner: Owner) -> Standing:
        """As `standing`; and the lock is held from then on if a place seems free. Still one statement."""
        if tx.connection.dialect.name != "postgresql":
            return self.standing(tx, owner)  # the one writer needs no lock
        row = tx.execute(self._standing_locked, standing_of(owner)).one()
        return replace(standing_from_row(row), locked=row.locked is not None)

    def notify_workers(self) -> None:
        """Wakes those that may take a run now; to be called after the commit."""
        self._notifier.notify(WAKE)

    def _give(self, tx: Transaction, at_most: int) -> list[str]:
        """To one run after the other, whose ids are returned; the lock is held."""
        given = []
        for _ in range(at_most):
            row = tx.execute(self._give_one).first()
            if row is None:
                break
            _take_turn(tx, row.owner, row.place)
            given.append(row.run_id)
        if given:
            tx.after_commit(self.notify_workers)
        return given


def _new_ticket(limits: RunLimits, place: sa.ScalarSelect[int]) -> sa.sql.dml.ReturningInsert[tuple[bool, int | None]]:
    """A ticket that has its place at once if one is free and nobody waits; the lock is held if `seems_free`."""
    others = _tickets.alias("others")
    count = sa.select(sa.func.count()).select_from(others).where(others.c.has_place == sa.true())
    owner = sa.bindparam("owner", type_=_tickets.c.owner.type)
    gets = sa.and_(
        sa.bindparam("seems_free", type_=sa.Boolean),
        count.scalar_subquery() < limits.total,
        count.where(others.c.owner == owner).scalar_subquery() < limits.per_user,
        ~sa.exists().where(others.c.has_place == sa.false()),
    )
    ticket = sa.select(
        sa.bindparam("run_id", type_=_tickets.c.run_id.type),
        owner,
        gets,
        sa.case((gets, place)),
        sa.bindparam("waiting_since", type_=_tickets.c.waiting_since.type),
    )
    insert = sa.insert(_tickets).from_select(["run_id", "owner", "has_place", "place", "waiting_since"], ticket)
    return insert.returning(_tickets.c.has_place, _tickets.c.place)


def _lock_if_free(limits: RunLimits) -> sa.Label[int | None]:
    """Takes the lock when a place seems free: there is nothing to wait for it for when none is."""
    taken, own, *_ = (column.element for column in STANDING_COLUMNS)
    lock = sa.select(sa.literal(1)).select_from(sa.func.pg_advisory_xact_lock(_LOCK).alias("lock")).scalar_subquery()
    return sa.case((sa.and_(taken < limits.total, own < limits.per_user), lock)).label("locked")


def _leave_or_lock() -> sa.Select[tuple[int]]:
    """Takes the ticket of a run that waits away: 0. Changes nothing of any other, and takes the lock: 1. Postgres."""
    ticket = sa.and_(_tickets.c.run_id == sa.bindparam("leaving"), WAITS)
    gone = sa.delete(_tickets).where(ticket).returning(_tickets.c.run_id).cte("gone")
    lock = sa.select(sa.literal(1)).select_from(sa.func.pg_advisory_xact_lock(_LOCK).alias("lock")).scalar_subquery()
    return sa.select(sa.case((sa.exists().select_from(gone), 0), else_=lock))


_LEAVE_OR_LOCK = _leave_or_lock()


def _next(limits: RunLimits) -> sa.ScalarSelect[int]:
    """The ticket of the user with the fewest places, then of the one whose last turn is longest ago: the oldest.

    Null when no place is free, or nobody waits who may have one. Owners are found by skipping through the index,
    so that it makes no difference how many runs each of them has waiting.
    """
    owners, first = _waiting_owners()
    has = _tickets.alias("has")
    held = sa.select(has.c.owner, sa.func.count().label("places")).where(has.c.has_place == sa.true())
    held_by = held.group_by(has.c.owner).subquery("held_by")
    taken = sa.select(sa.func.count()).select_from(has).where(has.c.has_place == sa.true()).scalar_subquery()
    places = sa.func.coalesce(held_by.c.places, 0)
    return (
        sa.select(first)
        .select_from(owners)
        .outerjoin(held_by, held_by.c.owner == owners.c.owner)
        .outerjoin(_turns, _turns.c.owner == owners.c.owner)
        .where(owners.c.owner.is_not(None), places < limits.per_user, taken < limits.total)
        .order_by(places, sa.func.coalesce(_turns.c.turn, 0), first)
        .limit(1)
        .scalar_subquery()
    )


def _waiting_owners() -> tuple[sa.CTE, sa.ScalarSelect[int]]:
    """The owners who have a run waiting, and the oldest ticket of each; the last owner is null."""
    waits = _tickets.alias("waits")
    least = sa.select(sa.func.min(waits.c.owner).label("owner")).where(waits.c.has_place == sa.false())
    owners = least.cte("owners", recursive=True)
    following = least.where(waits.c.owner > owners.c.owner).scalar_subquery()
    owners = owners.union_all(sa.select(following).where(owners.c.owner.is_not(None)))
    first = sa.select(sa.func.min(waits.c.number)).where(waits.c.has_place == sa.false())
    return owners, first.where(waits.c.owner == owners.c.owner).correlate(owners).scalar_subquery()


def _standing_columns() -> tuple[sa.Label[int], ...]:
    """Each a query of its own, so that they may stand beside other columns.

    Whether a run is queued is looked up by its key: for a join, Postgres may read every run while its statistics are
    old.
    """
    tickets = _tickets.alias("standing")
    place, mine = tickets.c.has_place == sa.true(), tickets.c.owner == sa.bindparam("standing_owner")
    state = sa.select(schema.runs.c.state).where(schema.runs.c.id == tickets.c.run_id).scalar_subquery()
    count = sa.select(sa.func.count()).select_from(tickets)
    return (
        count.where(place).scalar_subquery().label("places_taken"),
        count.where(place, mine).scalar_subquery().label("places_own"),
        count.where(place, mine, state == RunState.QUEUED).scalar_subquery().label("admitted"),
        count.where(tickets.c.has_place == sa.false(), mine).scalar_subquery().label("waiting"),
    )


STANDING_COLUMNS = _standing_columns()
_STANDING = sa.select(*STANDING_COLUMNS)


def standing_of(owner: Owner) -> dict[str, str]:
    """The parameters of a statement with STANDING_COLUMNS."""
    return {"standing_owner": owner_digest(owner)}


def standing_from_row(row: sa.Row[Any]) -> Standing:
    return Standing(total=row.places_taken, own=row.places_own, admitted=row.admitted, waiting=row.waiting)


def _take_turn(tx: Transaction, owner: str, turn: int) -> None:
    """Turns are counted, not timed: a clock may jump."""
    insert = upsert.insert(tx, _turns).values(owner=owner, turn=turn)
    tx.execute(insert.on_conflict_do_update(index_elements=[_turns.c.owner], set_={"turn": turn}))


def _lock(tx: Transaction) -> None:
    if tx.connection.dialect.name == "postgresql":
        tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
