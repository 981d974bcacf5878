"""Writes an agent's events into the session's log while its turn goes on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass

from gitward.agents.events import Events
from gitward.runs.commands.output import OutputLog
from gitward.sessions.model import EventType


@dataclass(frozen=True, kw_only=True)
class TurnSummary:
    """What the last event of a turn tells; the shape of `agent.ended`."""

    stop_reason: str | None  # as the agent reported it
    text: str  # its last message
    tools: int
    failed_tools: int
    dropped: int  # updates without an event


@contextlib.asynccontextmanager
async def told(events: Events, log: OutputLog, ending: Callable[[], TurnSummary]) -> AsyncIterator[None]:
    """Inside this block events are written as they come, and the last of them, with `ending`, at its end."""
    ended = asyncio.Event()
    ticker = asyncio.create_task(_tick(events, log, ended))
    try:
        yield
    finally:
        ended.set()
        await ticker
        _put(events, log, final=True)
        log.put(EventType.AGENT_ENDED, asdict(ending()), anyway=True)
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
