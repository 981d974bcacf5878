"""Ends runs whose job has ended without settling them, so that none is `running` for ever and keeps its place.

That should not happen. The engine lets only a job's present owner end it, so such a run is surely nobody's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

import sqlalchemy as sa

from gitward.errors import Reason
from gitward.runs.parts import Parts
from gitward.sessions.model import FINAL_STATES, RunState, now
from gitward.sessions.places import HAS_PLACE
from gitward.sessions.progress import AttemptLost, Outcome
from gitward.store import schema
from gitward.store.database import Transaction

log = logging.getLogger(__name__)

_runs, _tickets = schema.runs, schema.tickets
AGE = timedelta(minutes=1)  # between the end of a job and the look at it
MESSAGE = "Gitward's engine ended the job before the run was settled; its log may tell why. Retry the run."


class EngineJobs(Protocol):
    """What the engine knows of jobs."""

    def ended_among(self, run_ids: Sequence[str], before: datetime) -> list[str]:
        """Those whose job ended before, however it ended. Blocks."""
        ...


async def settle_strays(parts: Parts, engine: EngineJobs, at: datetime | None = None) -> int:
    """Settles them as failed with `internal`; says how many there were."""
    async with parts.database.snapshot() as tx:
        unfinished = await _unfinished(tx)
    if not unfinished:
        return 0
    strays = await asyncio.to_thread(engine.ended_among, unfinished, (at or now()) - AGE)
    for run_id in strays:
        log.error("Run %s is settled, because its job ended without doing so", run_id)
        try:
            async with parts.database.transaction() as tx:
                claim = await parts.progress.claim(tx, run_id)
                outcome = Outcome(state=RunState.FAILED, reason=Reason.INTERNAL, message=MESSAGE)
                await parts.progress.settle(tx, claim, outcome)
        except AttemptLost:
            log.info("Run %s has ended meanwhile", run_id)
    return len(strays)


async def _unfinished(tx: Transaction) -> list[str]:
    query = sa.select(_runs.c.id).join(_tickets, _tickets.c.run_id == _runs.c.id)
    return list((await tx.execute(query.where(HAS_PLACE, _runs.c.state.not_in(FINAL_STATES)))).scalars())
