"""Writes of the job wait for the database: a locked, restarted or full database fails no run."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

from gitward.grants.lease import Lease
from gitward.store.database import PASSING_ERRORS, Database, Transaction

log = logging.getLogger(__name__)

T = TypeVar("T")

_PAUSES = (0.1, 0.5, 2.0, 5.0)  # seconds before each new try; then the last again


def pauses() -> Iterator[float]:
    """Seconds to wait before each new try, without an end."""
    return itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1]))


async def persist(database: Database, change: Callable[[Transaction], T], *, lease: Lease, what: str) -> T:
    """Makes a change in a transaction of its own, again and again while the database cannot take it.

    It ends by success, by an error that waiting does not mend, by a cancellation (time limit, a worker's stop), or
    with the lease: what a run still has to write when it is ended must not keep its worker from beginning again.
    A connection that breaks in the very commit leaves open whether it took place; then the change is made again.

    :param what: of which run and what, for the log: "Run run_x: a step".
    :raises LeaseLost: the lease is over, and the database did not take it.
    """
    for pause in pauses():
        try:
            return await database.write(change)
        except PASSING_ERRORS as error:
            lease.require()
            log.warning("%s cannot be written yet (%s); next try in %g s", what, type(error).__name__, pause)
        await asyncio.sleep(pause)
    raise AssertionError("the pauses do not end")
