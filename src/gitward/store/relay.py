"""Carries notifications between the processes that share a Postgres, so that readers anywhere are woken at once.

They are sent after their commit, several together: a NOTIFY in the transaction itself would make all commits of the
database wait for each other. A lost one delays a reader only until its next look.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg

from gitward.store.database import Database
from gitward.store.notify import Notifier

log = logging.getLogger(__name__)

CHANNEL = "gitward_events"
_PAUSES = (0.1, 0.5, 1.0, 2.0)  # seconds before each new connection; then the last again
_SEND = f"SELECT pg_notify('{CHANNEL}', told) FROM unnest(%s::text[]) AS told".encode()  # noqa: S608 -- our own name
_LISTEN = f"LISTEN {CHANNEL}".encode()

Connection = psycopg.AsyncConnection[Any]


class Relay:
    """Two connections, kept open from `start` to `stop`: one listens, one tells. On SQLite it does nothing."""

    def __init__(self, database: Database, notifier: Notifier) -> None:
        self._conninfo = database.conninfo
        self._works = not database.is_sqlite
        self._notifier = notifier
        self._name = secrets.token_hex(8)  # what this process told itself it need not hear
        self._news: set[str] = set()
        self._told = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        if self._works:
            self._notifier.carry(self._take)
            self._tasks = [
                asyncio.create_task(self._kept(self._listen), name="notifications in"),
                asyncio.create_task(self._kept(self._tell), name="notifications out"),
            ]

    async def stop(self) -> None:
        self._notifier.carry(None)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _take(self, session_id: str) -> None:
        self._news.add(session_id)
        self._told.set()

    async def _kept(self, use: Callable[[Connection], Awaitable[None]]) -> None:
        """Uses a connection, and a new one whenever it breaks."""
        while True:
            for pause in itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1])):
                with contextlib.suppress(psycopg.Error, OSError):
                    connection = await Connection.connect(
                        self._conninfo, autocommit=True, application_name="gitward notifications"
                    )
                    break
                await asyncio.sleep(pause)
            async with connection:
                try:
                    await use(connection)
                except (psycopg.Error, OSError) as error:
                    log.warning("Notifications are interrupted (%s)", type(error).__name__)

    async def _listen(self, connection: Connection) -> None:
        await connection.execute(_LISTEN)
        self._notifier.wake_all()  # whatever was told while nobody listened
        async for message in connection.notifies():
            teller, _, session_id = message.payload.partition(" ")
            if teller != self._name:
                self._notifier.wake(session_id)

    async def _tell(self, connection: Connection) -> None:
        while True:
            await self._told.wait()
            self._told.clear()
            news, self._news = self._news, set()
            await connection.execute(_SEND, ([f"{self._name} {session_id}" for session_id in news],))
