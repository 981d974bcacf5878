"""Assembles what every process of the service shares: the database, and what is written to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from gitward.cli.health import ServiceHealth
from gitward.cli.write_check import WriteCheck
from gitward.runs.storage import removable_files
from gitward.sessions.journal import Journal
from gitward.sessions.places import Places, RunLimits
from gitward.sessions.queue import RunQueue
from gitward.sessions.service import SessionService
from gitward.sessions.webhook_targets import read_targets
from gitward.sessions.webhooks import Outbox
from gitward.settings.fields import Settings
from gitward.settings.values import MiB
from gitward.store.database import POSTGRES_WRITERS, Database
from gitward.store.notify import Notifier
from gitward.telemetry.metrics import Metrics
from gitward.workers.file_lock import FileLock
from gitward.workers.migrate import migrate_all

_FOLDER_TAKEN = "GITWARD_DATA_DIR: another worker already uses this folder; give each worker of a machine its own"


@contextlib.asynccontextmanager
async def own_data_folder(settings: Settings) -> AsyncIterator[None]:
    """The data folder belongs to this worker inside the block; it comes before all that wants to write there.

    :raises SettingsError: another worker has it.
    """
    folder = FileLock(settings.data_dir / "worker.lock", _FOLDER_TAKEN)
    await asyncio.to_thread(folder.acquire)
    try:
        await asyncio.to_thread(removable_files.make_room, settings.data_dir)
        yield
    finally:
        folder.release()


@dataclass(frozen=True, kw_only=True)
class Storage:
    """The database and what is written to it."""

    database: Database
    notifier: Notifier
    journal: Journal
    queue: RunQueue
    places: Places
    sessions: SessionService
    watch: ServiceHealth


@contextlib.asynccontextmanager
async def open_storage(settings: Settings, postgres_writers: int = POSTGRES_WRITERS) -> AsyncIterator[Storage]:
    async with contextlib.AsyncExitStack() as stack:
        database = Database(
            settings.effective_database_url, reserve_bytes=settings.reserve_mib * MiB, postgres_writers=postgres_writers
        )
        stack.push_async_callback(database.stop)
        await asyncio.to_thread(database.reserve.open_up)
        await migrate_all(database)
        await database.watch_disk()
        notifier = Notifier()
        if not database.is_sqlite:  # its driver takes 9 MB, which a service on SQLite need not load
            from gitward.store.relay import Relay

            relay = Relay(database, notifier)
            await relay.start()
            stack.push_async_callback(relay.stop)
        metrics = Metrics()
        journal = Journal(notifier, metrics.count_events, outbox=Outbox(tuple(read_targets(settings.webhooks_file))))
        limits = RunLimits(total=settings.max_runs, per_user=settings.max_runs_per_user)
        places = Places(notifier, limits)
        yield Storage(
            database=database,
            notifier=notifier,
            journal=journal,
            queue=RunQueue(places=places, journal=journal),
            places=places,
            sessions=SessionService(places=places, journal=journal),
            watch=ServiceHealth(metrics=metrics, database=database, limits=limits, trial=WriteCheck(database, None)),
        )
