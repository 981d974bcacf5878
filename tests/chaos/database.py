"""Looks into the service's tables, as an operator could."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import psycopg

from gitward.sessions.model import StepName

_STEPS = list(StepName)
_RUNS = """SELECT runs.id, runs.worker, runs.losses, latest.name, latest.state
  FROM runs LEFT JOIN LATERAL
    (SELECT name, state FROM steps WHERE steps.run_id = runs.id ORDER BY started_at DESC LIMIT 1) AS latest ON true
  WHERE runs.state IN ('running', 'cancelling') AND worker IS NOT NULL"""
_TAKEN = """SELECT extract(epoch FROM at)::float8 FROM events
  WHERE run_id = %s AND type IN ('run.taken_over', 'run.ended') AND extract(epoch FROM at) > %s ORDER BY seq LIMIT 1"""


_HAS_ENDED = "SELECT count(*) FROM runs WHERE id = %s AND ended_at IS NOT NULL"
_ENDED = """SELECT session_id FROM runs GROUP BY session_id
  HAVING bool_and(state IN ('succeeded', 'failed', 'cancelled'))"""


@dataclass(frozen=True, kw_only=True)
class Running:
    """A run that a worker has, and the step that it is in."""

    run_id: str
    worker: str
    losses: int
    step: StepName


class Database:
    """A connection that is made anew whenever it breaks."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.AsyncConnection[Any] | None = None

    async def running(self) -> list[Running]:
        """Runs in progress. Between two steps a run is in the later one; before its first in that."""
        rows = await self._rows(_RUNS)
        return [
            Running(run_id=run_id, worker=worker, losses=losses, step=_step(name, state))
            for run_id, worker, losses, name, state in rows
        ]

    async def pid_of(self, worker: str) -> int | None:
        """The process of an executor."""
        rows = await self._rows("SELECT processes FROM workers WHERE id = %s", worker)
        if not rows:
            return None
        processes = rows[0][0] if isinstance(rows[0][0], list) else json.loads(rows[0][0])
        return int(processes[0].split()[0]) if processes else None

    async def has_ended(self, run_id: str) -> bool:
        return bool(await self.number(_HAS_ENDED, run_id))

    async def ended_sessions(self) -> set[str]:
        """Those whose runs have all ended."""
        return {row[0] for row in await self._rows(_ENDED)}

    async def takeovers(self) -> int:
        return await self.number("SELECT count(*) FROM events WHERE type = 'run.taken_over'")

    async def goes_on(self, run_id: str, since: float) -> float | None:
        """When another attempt began, or the run ended, after `since` (epoch seconds)."""
        rows = await self._rows(_TAKEN, run_id, since)
        return float(rows[0][0]) if rows else None

    async def number(self, query: str, *parameters: Any) -> int:
        return int((await self._rows(query, *parameters))[0][0])

    async def _rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        while True:
            try:
                if self._connection is None:
                    self._connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True)
                cursor = await self._connection.execute(query.encode(), parameters)
                return await cursor.fetchall()
            except psycopg.OperationalError:  # it is being restarted
                await self.close()
                await asyncio.sleep(0.1)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def _step(name: str | None, state: str | None) -> StepName:
    """The step that a run is in, from the latest that it began."""
    if name is None:
        return _STEPS[0]
    if state == "running":
        return StepName(name)
    following = _STEPS.index(StepName(name)) + 1
    return _STEPS[min(following, len(_STEPS) - 1)] if state == "succeeded" else StepName.SETTLE
