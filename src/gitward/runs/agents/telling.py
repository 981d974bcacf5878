"""Writes an agent's events into the session's log while its turn goes on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from gitward.agents.events import Events
from gitward.runs.commands.output import OutputLog
from gitward.sessions.model import EventType

Json = dict[str, Any]


@contextlib.asynccontextmanager
async def told(events: Events, log: OutputLog, ending: Callable[[], Json]) -> AsyncIterator[None]:
    """Inside this block events are written as they come, and the last of them, with `ending`, at its end."""
    ended = asyncio.Event()
    ticker = asyncio.create_task(_tick(events, log, ended))
    try:
        yield
    finally:
        ended.set()
        await ticker
        _put(events, log, final=True)
        log.put(EventType.AGENT_ENDED, ending(), anyway=True)
        await log.flush(ended if log.is_held else None)


async def _tick(events: Events, log: OutputLog, ended: asyncio.Event) -> None:
    while not ended.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(events.pause):
                await ended.wait()
        _put(events, log)
        await log.flush(ended)


def _put(events: Events, log: OutputLog, *, final: bool = False) -> None:
    for kind, data in events.entries(final=final):
        if not log.put(EventType(kind), data):
            events.dropped += 1
