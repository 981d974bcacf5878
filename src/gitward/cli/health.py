"""Monitoring: metrics, and whether the service can do its work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from gitward.api.services import Check
from gitward.broker import Brokers
from gitward.cli.write_check import WriteCheck
from gitward.github.client import GitHub
from gitward.sandboxes import Guard
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.sessions import statistics
from gitward.sessions.places import RunLimits
from gitward.store.database import Database
from gitward.telemetry.metrics import BrokerFigures, Budget, Figures, Metrics, Moment
from gitward.workers.worker import State, Worker

log = logging.getLogger(__name__)

LOOK_SECONDS = 4.0  # for the database to answer; the metrics ask twice


@dataclass(kw_only=True)
class ServiceHealth:
    """Looks at the parts of this process. Parts that it does not have stay None."""

    metrics: Metrics
    database: Database
    limits: RunLimits
    guards: Sequence[Guard] = ()
    brokers: Brokers | None = None
    sandboxes: BubblewrapEngine | None = None
    github: GitHub | None = None
    worker: Worker | None = None
    trial: WriteCheck | None = None
    stopping: asyncio.Event | None = None

    async def checks(self) -> list[Check]:
        """What `/ready` tells: what must work, and which limits hold."""
        checks = [await self._database()]
        if self.trial is not None and checks[0].ok:
            checks += await self.trial.checks()
        if self.worker is not None:
            checks.append(_takes_runs(self.worker))
        if self.brokers is not None:
            checks.append(_answers(self.brokers))
        if self.sandboxes is not None:
            checks.append(_launches(self.sandboxes))
        if self.stopping is not None and self.stopping.is_set():
            checks.append(Check(name="service", ok=False, detail="The service is stopping."))
        limits = [Check(name=f"limit {each.name}", ok=True, detail=f"{each.holds}: {each.how}") for each in self.guards]
        return [*checks, *limits]

    async def render(self, *, with_figures: bool) -> bytes:
        """In Prometheus' text format; the database's figures only from the API, so that they are there once."""
        told = self.github.limits.snapshot() if self.github is not None else ()
        budgets = [
            Budget(holder=each.holder, resource=each.resource, limit=each.limit, remaining=each.remaining)
            for each in told
        ]
        moment = Moment(
            figures=await self.figures() if with_figures else None,
            budgets=tuple(budgets),
            ready=all(check.ok for check in await self.checks()),
            brokers=_figures_of(self.brokers) if self.brokers is not None else None,
        )
        return self.metrics.render(moment)

    async def figures(self) -> Figures | None:
        """None while the database does not answer: the rest is told all the more."""
        try:
            return await self.database.read(lambda tx: statistics.read_figures(tx, self.limits), seconds=LOOK_SECONDS)
        except (SQLAlchemyError, OSError) as error:
            log.warning("The database's figures cannot be read (%s)", type(error).__name__)
            return None

    async def _database(self) -> Check:
        try:
            await self.database.read(statistics.check_tables, seconds=LOOK_SECONDS)
        except (SQLAlchemyError, OSError) as error:
            log.warning("The database does not answer: %s", type(error).__name__)
            return Check(name="database", ok=False, detail="The database does not answer.")
        return Check(name="database", ok=True, detail="The database answers.")


def _takes_runs(worker: Worker) -> Check:
    working = worker.state is State.WORKING
    detail = "The worker takes runs." if working else f"The worker takes no runs: it is {worker.state}."
    return Check(name="worker", ok=working, detail=detail)


def _answers(brokers: Brokers) -> Check:
    detail = "Brokers are available." if brokers.runs else "The brokers' parent ended, and is being replaced."
    return Check(name="broker", ok=brokers.runs, detail=detail)


def _figures_of(brokers: Brokers) -> BrokerFigures:
    return BrokerFigures(open=brokers.open_grants, restarts=brokers.restarts, parent_restarts=brokers.parent.restarts)


def _launches(sandboxes: BubblewrapEngine) -> Check:
    detail = "The launcher answers." if sandboxes.answers else "The launcher does not answer, and is being replaced."
    return Check(name="sandboxes", ok=sandboxes.answers, detail=detail)
