"""POST /sessions at a steady rate, and how soon a run begins, on both databases."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from benchmarks.figure import Figure, quantile
from benchmarks.world import World, world

RATE, SECONDS = 50, 10  # POSTs a second, and for how long
FIRST = 20  # that are not counted: what a process needs first it then has
PICKUPS = 20


async def posts() -> list[Figure]:
    """Each request at its own time whatever became of the others; alone, and with runs beside them."""
    figures = []
    for database, workers in (("SQLite", None), ("Postgres", 1)):
        for beside, around in (
            ("nothing", world(workers=None if workers is None else 0, idle=True)),
            ("runs", world(workers=workers)),
        ):
            async with around as opened:
                latencies = await _latencies(opened)
            p50, p99 = (quantile(latencies[FIRST:], share) * 1000 for share in (0.5, 0.99))
            first = f"the slowest of the {FIRST} before them {max(latencies[:FIRST]) * 1000:.0f} ms"
            meaning = f"{RATE} a second for {SECONDS} s, {beside} going on beside them; p50, p99; {first}"
            name = f"POST /sessions, {database}, {'alone' if beside == 'nothing' else 'busy'}"
            figures.append(Figure(name=name, value=f"{p50:.0f} ms, {p99:.0f} ms", meaning=meaning))
    return figures


async def pickup() -> list[Figure]:
    """From the commit of a session to the beginning of its run, on a worker that has nothing else to do."""
    figures = []
    for database, workers in (("SQLite", None), ("Postgres", 1)):
        async with world(workers=workers) as around, around.http() as http:
            seconds = [await _picked_up(around, http) for _ in range(PICKUPS + 1)][1:]
        value = f"{quantile(seconds, 0.5) * 1000:.0f} ms, {quantile(seconds, 0.95) * 1000:.0f} ms"
        meaning = f"p50, p95 of {PICKUPS}: from the answer to the POST to run.started"
        figures.append(Figure(name=f"pickup, {database}", value=value, meaning=meaning))
    return figures


async def _picked_up(around: World, http: Any) -> float:
    session = await around.session(http)
    committed, started = time.time(), 0.0
    async for event in around.events(http, session):
        if event["type"] == "run.started":
            started = datetime.fromisoformat(event["at"]).timestamp()
    return max(0.0, started - committed)


async def _latencies(around: World) -> list[float]:
    """In the order in which they were sent."""

    async def one(http: Any, at: float) -> float:
        await asyncio.sleep(max(0, at - time.monotonic()))
        session = await around.session(http, command="true")
        seconds = time.monotonic() - at
        await http.post(f"/sessions/{session['id']}/cancel")
        return seconds

    async with around.http() as http:
        with _no_collections():
            start = time.monotonic() + 0.1
            return await asyncio.gather(*(one(http, start + number / RATE) for number in range(FIRST + RATE * SECONDS)))


@contextlib.contextmanager
def _no_collections() -> Iterator[None]:
    """A caller's own search for garbage, 60 ms each here, is no answer of the service that came late."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
