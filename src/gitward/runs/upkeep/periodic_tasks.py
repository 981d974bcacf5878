"""What a worker does beside its runs, again and again, each at its own pace."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from gitward.runs.services import JobServices
from gitward.runs.upkeep.idle_workspaces import remove_idle
from gitward.runs.upkeep.webhooks.sender import Sender
from gitward.sessions.places import AT_ONCE
from gitward.sessions.retention import Retention
from gitward.sessions.schedule_runner import ScheduleRunner
from gitward.store.database import Database

log = logging.getLogger(__name__)

FILL_SECONDS = 1.0
SCHEDULE_SECONDS = 1.0
RETENTION_SECONDS = 600.0
WEBHOOK_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class PeriodicTask:
    name: str
    every: float  # seconds between the end of one time and the beginning of the next
    do: Callable[[], Awaitable[object]]


class PeriodicTasks:
    """Does chores until it is stopped; one that fails is logged, and tried again at its next time."""

    def __init__(self, *chores: PeriodicTask) -> None:
        self._chores = chores
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(_repeat(chore), name=f"chore {chore.name}") for chore in self._chores]

    async def stop(self) -> None:
        """A chore that is under way is cancelled and awaited."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _repeat(chore: PeriodicTask) -> None:
    failed = False
    while True:
        try:
            await chore.do()
            failed = False
        except Exception as error:  # the edge of a chore: the next time may find the database back
            if not failed:
                log.exception("Could not %s (%s); trying again", chore.name, type(error).__name__)
            failed = True
        await asyncio.sleep(chore.every)


async def fill_places(services: JobServices) -> None:
    """Gives free places to waiting runs, should there be both."""
    places = services.progress.places
    while True:
        if not await services.database.read(places.has_work):
            return
        given = await services.database.write(places.fill)
        if given:
            log.info("%d free place(s) were given to runs", given)
        if given < AT_ONCE:
            return


async def fire_schedules(database: Database, schedules: ScheduleRunner) -> None:
    """Makes the sessions of every schedule whose time has come; one that fails does not keep the others."""
    if database.is_low:  # they stay due
        return
    for schedule_id in await database.read(schedules.due):
        try:
            await database.write(partial(schedules.fire, schedule_id=schedule_id))
        except Exception:  # the edge of one schedule: it is due still, and looked at again
            log.exception("Schedule %s could not create its session", schedule_id)


def worker_tasks(
    services: JobServices, schedules: ScheduleRunner, retention: Retention, sender: Sender
) -> PeriodicTasks:
    """Those of a worker."""
    settings = services.settings
    idle = partial(remove_idle, services.database, settings.workspaces, hours=settings.workspace_hours)
    return PeriodicTasks(
        PeriodicTask(name="give free places to runs", every=FILL_SECONDS, do=lambda: fill_places(services)),
        PeriodicTask(
            name="follow schedules", every=SCHEDULE_SECONDS, do=lambda: fire_schedules(services.database, schedules)
        ),
        PeriodicTask(name="send webhooks", every=WEBHOOK_SECONDS, do=sender.send_due),
        PeriodicTask(name="remove old sessions", every=RETENTION_SECONDS, do=retention.sweep),
        PeriodicTask(name="remove idle workspaces", every=RETENTION_SECONDS, do=idle),
    )
