"""The living workers, on Postgres: each counts up in its row, and one that stands still for too long is removed from
the list.

No clocks of two machines are compared. A worker renews its lease from the moment *before* it asked for its next beat;
the others measure with their own clock how long they have seen no new one, and wait longer than the lease runs. So a
worker has stopped by itself before it is removed.

Who has just come has seen nothing yet. When every worker was lost at once, the database's own clock tells how long one
has been silent; it counts only after as much silence as ends the worker's own lease, because that clock may be set.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg

from gitward.grants import clock, processes
from gitward.grants.lease import Lease
from gitward.store.database import Database
from gitward.store.postgres_connections import cut
from gitward.workers.heartbeat import NoAnswer
from gitward.workers.queue import GENERATION

log = logging.getLogger(__name__)

T = TypeVar("T")

OWN_SHARE = 0.65  # of the lease: after it a worker stops by itself; the rest is for what takes time to stop
ANSWER_SECONDS = 1.5  # a connection that is silent for longer is given up
_GAP_SECONDS = 2.0  # without a look at the others: what they did meanwhile is unknown

OnBeat = Callable[[float], Awaitable[None]]

_JOIN = """INSERT INTO workers (id, machine, processes, lease_seconds, beats, started_at, seen_at, generation)
  VALUES (%s, %s, %s, %s, 0, clock_timestamp(), clock_timestamp(), %s)"""
_BEAT = "UPDATE workers SET beats = beats + 1, processes = %s, seen_at = clock_timestamp() WHERE id = %s RETURNING 1"
_LOOK = """SELECT id, machine, processes, lease_seconds, beats,
  extract(epoch FROM clock_timestamp() - seen_at)::float8 FROM workers WHERE id <> %s"""
_STRIKE = "DELETE FROM workers WHERE id = %s AND beats = %s RETURNING 1"
_LEAVE = "DELETE FROM workers WHERE id = %s"


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """Another worker's latest beat, and since when it is known."""

    beats: int
    since: float  # of `clock.seconds`


class Membership:
    """One worker among many. `join`, then `beat` and `look` in turns until `StruckOff`, or `leave`."""

    def __init__(
        self,
        database: Database,
        *,
        worker: str,
        lease_seconds: float,
        children: Callable[[], Sequence[int | None]],
        seconds: Callable[[], float] = clock.seconds,
    ) -> None:
        """:param seconds: the clock by which the others' silence is measured."""
        self._conninfo = database.conninfo
        self._worker = worker
        self._lease_seconds = lease_seconds
        self._children = children
        self._seconds = seconds
        self._machine = processes.machine()
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._seen: dict[str, _Seen] = {}
        self._looked = 0.0

    async def join(self) -> Lease:
        """Enters the list. Raises NoAnswer when the database cannot be used."""
        asked = clock.seconds()
        row = (self._worker, self._machine, self._processes(), self._lease_seconds, GENERATION)
        await self._query(_JOIN, row)
        return Lease(asked + self._lease_seconds * OWN_SHARE)

    async def beat(self, lease: Lease) -> bool:
        """A sign of life; renews the lease. False when others have struck this worker off, or the lease is over.

        :raises NoAnswer: the database did not answer; the lease goes on until it runs out.
        """
        asked = clock.seconds()
        if not await self._query(_BEAT, (self._processes(), self._worker)):
            return False
        return lease.renew(asked + self._lease_seconds * OWN_SHARE)

    async def check(self) -> bool:
        """Strikes off those who ended or are silent for too long; whether there was one.

        :raises NoAnswer: the database did not answer.
        """
        rows = await self._query(_LOOK, (self._worker,))
        now = self._seconds()
        if now - self._looked > _GAP_SECONDS:
            self._seen.clear()
        self._looked = now
        before, self._seen = self._seen, {}
        struck = False
        for worker, machine, their_processes, lease_seconds, beats, recorded in rows:
            seen = before.get(worker)
            if seen is None or seen.beats != beats:
                seen = _Seen(beats=beats, since=now)
            self._seen[worker] = seen
            silent = now - seen.since
            if self._has_ended(machine, their_processes):
                why = "its processes have ended"
            elif silent > lease_seconds:
                why = f"it was silent for {silent:.1f} s"
            elif silent > lease_seconds * OWN_SHARE and recorded > lease_seconds:
                why = f"it was silent for {recorded:.1f} s, {silent:.1f} of them since this worker began to look"
            else:
                continue
            if await self._query(_STRIKE, (worker, beats)):
                log.warning("Worker %s is removed from the list: %s", worker, why)
                struck = True
        return struck

    async def remove(self, worker: str) -> None:
        """Takes a worker off the list that is known to have ended."""
        await self._query(_LEAVE, (worker,))

    async def leave(self) -> None:
        """Leaves the list, as far as the database can be reached."""
        with contextlib.suppress(NoAnswer, OSError):
            await self.remove(self._worker)
        await self.disconnect()

    async def disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def _processes(self) -> str:
        return json.dumps(processes.identities([os.getpid(), *self._children()]))

    def _has_ended(self, machine: str, their_processes: Sequence[str]) -> bool:
        """A proof of death that needs no patience: on this machine, none of its processes is left."""
        return machine == self._machine and not any(processes.is_alive(each) for each in their_processes)

    async def _query(self, query: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            connection = await self._connected()
            return await _in_time(connection, _rows(connection, query, parameters))
        except psycopg.Error as error:
            await self.disconnect()
            raise NoAnswer(type(error).__name__) from error

    async def _connected(self) -> psycopg.AsyncConnection[Any]:
        if self._connection is None:
            self._connection = await psycopg.AsyncConnection.connect(
                self._conninfo, autocommit=True, connect_timeout=2, application_name="gitward membership"
            )
        return self._connection


async def _rows(
    connection: psycopg.AsyncConnection[Any], query: str, parameters: Sequence[Any]
) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(query.encode(), parameters)
    return await cursor.fetchall() if cursor.description else []


async def _in_time(connection: psycopg.AsyncConnection[Any], call: Awaitable[T]) -> T:
    """The result of one question. When none comes in time the connection is cut, and psycopg says so.

    Not by `asyncio.timeout`: psycopg answers a cancellation by asking the same silent server to cancel.
    """
    late = asyncio.get_running_loop().call_later(ANSWER_SECONDS, cut, connection.fileno())
    try:
        return await call
    finally:
        late.cancel()
