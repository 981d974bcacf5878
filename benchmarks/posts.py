"""POST /sessions at a steady rate, on both databases."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from benchmarks.figure import Figure, quantile
from benchmarks.world import World, world

RATE, SECONDS = 50, 10  # POSTs a second, and for how long


async def posts() -> list[Figure]:
    """Each request at its own time whatever became of the others; runs go on beside them."""
    figures = []
    for database, workers in (("SQLite", None), ("Postgres", 1)):
        async with world(workers=workers) as around:
            latencies = await _latencies(around)
        p50, p99 = (quantile(latencies, share) * 1000 for share in (0.5, 0.99))
        meaning = f"{RATE} a second for {SECONDS} s, runs going on beside them; p50, p99"
        figures.append(Figure(name=f"POST /sessions, {database}", value=f"{p50:.0f} ms, {p99:.0f} ms", meaning=meaning))
    return figures


async def _latencies(around: World) -> list[float]:
    latencies: list[float] = []

    async def one(http: Any, at: float) -> None:
        await asyncio.sleep(max(0, at - time.monotonic()))
        session = await around.session(http, command="true")
        latencies.append(time.monotonic() - at)
        await http.post(f"/sessions/{session['id']}/cancel")

    async with around.http() as http:
        start = time.monotonic() + 0.1
        await asyncio.gather(*(one(http, start + number / RATE) for number in range(RATE * SECONDS)))
    return latencies
