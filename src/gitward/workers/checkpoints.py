"""Checkpoints of a job: functions that run once, across restarts. Their results are stored with the run, as JSON.

A pickled value would be code for its reader, and an exception's text may quote a run's data: so one that raises
is not stored.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")

Keep = Callable[[Mapping[str, Any]], Awaitable[None]]


class Checkpoints:
    """Those of the job that runs in this task."""

    def __init__(self, known: dict[str, Any], keep: Keep) -> None:
        self._known = known
        self._keep = keep

    async def once(self, name: str, function: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> T:
        if name not in self._known:
            result = plain(await function(*arguments))
            known_then = {**self._known, name: result}
            await self._keep(known_then)
            self._known = known_then
        known: T = self._known[name]
        return known


current: ContextVar[Checkpoints] = ContextVar("checkpoints of the job")


async def checkpoint(name: str, function: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> T:
    """Runs a function of the current job, or returns what it returned when it was completed before.

    Results are JSON values and hold no secret.
    """
    return await current.get().once(name, function, *arguments)


def plain(value: Any) -> Any:
    """The value as it comes back from JSON: tuples are lists.

    :raises TypeError, ValueError: it is no JSON. The value is not quoted.
    """
    return json.loads(json.dumps(value, default=_refuse, allow_nan=False))


def _refuse(value: Any) -> Any:
    raise TypeError(f"a checkpoint may only return JSON values, not {type(value).__name__}")


def as_task(checkpoints: Checkpoints, job: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """The job as a task of its own, in which `checkpoint` finds its checkpoints."""

    async def run() -> None:
        current.set(checkpoints)
        await job

    return asyncio.create_task(run(), name=name)
