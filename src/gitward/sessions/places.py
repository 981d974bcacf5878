"""Who may begin: the limits in total and per user, and turns between users.

A session's first unfinished run has a ticket. It waits until it gets one of the places, and only then goes on the
engine's queue; it keeps its place until it has ended, also while it is taken over. Tickets change under one lock, so
the limits are never passed. The lock is taken after every other: nothing else is locked behind it in a transaction.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import sqlalchemy as sa

from gitward.sessions.model import Owner, now
from gitward.store import schema
from gitward.store.database import Transaction
from gitward.workers.queue import Queue

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


class Places:
    """Gives places to runs, in the caller's transaction."""

    def __init__(self, queue: Queue, limits: RunLimits) -> None:
        self._queue = queue
        self.limits = limits

    async def enter(self, tx: Transaction, run_id: str, owner: Owner) -> None:
        """The run waits from now on; it begins at once when a place is free for its owner."""
        ticket = {"run_id": run_id, "owner": owner_digest(owner), "has_place": False, "waiting_since": now()}
        await tx.execute(sa.insert(_tickets).values(**ticket))
        if await self._free(tx) > 0:  # else there is nothing to wait for the lock for
            await _lock(tx)
            await self._give(tx, 1)

    async def leave(self, tx: Transaction, *run_ids: str) -> None:
        """These runs have ended. A place that gets free is given to the next run in the same transaction."""
        await _lock(tx)
        gone = sa.delete(_tickets).where(_tickets.c.run_id.in_(run_ids)).returning(_tickets.c.has_place)
        await self._give(tx, sum((await tx.execute(gone)).scalars()))

    async def fill(self, tx: Transaction) -> int:
        """Gives away what is free, AT_ONCE at most, and says how many places that were.

        For a change of the limits, and for a run that entered while the last place was being left: neither of the two
        transactions saw the other.
        """
        await _lock(tx)
        return await self._give(tx, AT_ONCE)

    async def has_work(self, tx: Transaction) -> bool:
        """Whether `fill` may find something to do; cheap, and in a snapshot too."""
        someone = sa.select(_tickets.c.number).where(WAITS).limit(1)
        return await self._free(tx) > 0 and (await tx.execute(someone)).first() is not None

    async def _free(self, tx: Transaction) -> int:
        taken = await tx.execute(sa.select(sa.func.count()).select_from(_tickets).where(HAS_PLACE))
        return self.limits.total - int(taken.scalar_one())

    async def _give(self, tx: Transaction, at_most: int) -> int:
        """To one run after the other; the lock is held."""
        given = 0
        for _ in range(min(at_most, await self._free(tx))):
            row = (await tx.execute(self._next())).first()
            if row is None:
                break
            await tx.execute(sa.update(_tickets).where(_tickets.c.number == row.number).values(has_place=True))
            await _take_turn(tx, row.owner)
            await self._queue.enqueue(tx, row.run_id)
            given += 1
        return given

    def _next(self) -> sa.Select[tuple[str, str, int]]:
        """Of the user with the fewest places, then of the one whose last turn is longest ago: the oldest ticket."""
        first = sa.select(_tickets.c.owner, sa.func.min(_tickets.c.number).label("number")).where(WAITS)
        first_of = first.group_by(_tickets.c.owner).subquery("first_of")
        held = sa.select(_tickets.c.owner, sa.func.count().label("places")).where(HAS_PLACE)
        held_by = held.group_by(_tickets.c.owner).subquery("held_by")
        places = sa.func.coalesce(held_by.c.places, 0)
        return (
            sa.select(_tickets.c.run_id, _tickets.c.owner, _tickets.c.number)
            .join(first_of, first_of.c.number == _tickets.c.number)
            .outerjoin(held_by, held_by.c.owner == first_of.c.owner)
            .outerjoin(_turns, _turns.c.owner == first_of.c.owner)
            .where(places < self.limits.per_user)
            .order_by(places, sa.func.coalesce(_turns.c.turn, 0), _tickets.c.number)
            .limit(1)
        )


async def _take_turn(tx: Transaction, owner: str) -> None:
    """Turns are counted, not timed: a clock may jump."""
    turn = sa.select(sa.func.coalesce(sa.func.max(_turns.c.turn), 0) + 1).scalar_subquery()
    known = await tx.execute(sa.update(_turns).where(_turns.c.owner == owner).values(turn=turn))
    if not known.rowcount:
        await tx.execute(sa.insert(_turns).values(owner=owner, turn=turn))


async def _lock(tx: Transaction) -> None:
    if tx.connection.dialect.name == "postgresql":
        await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
