"""Several workers on one Postgres: what they get done together, and how soon one goes on with another's runs."""

from __future__ import annotations

import asyncio
import signal
import time
from datetime import datetime
from typing import Any

from benchmarks.bare import bare_commands
from benchmarks.figure import Figure, median
from benchmarks.processes import tree
from benchmarks.world import Process, World, world

SESSIONS = 24  # for each number of workers
BARE_ROUNDS = 5
KILLS = 20

Json = dict[str, Any]


async def throughput() -> list[Figure]:
    """Sessions a second with a trivial command, beside the same commands in a shell loop."""
    figures = []
    for workers in (1, 2):
        async with world(workers=workers) as around:
            await _sessions(around, 2)  # what is loaded once is not what is measured
            seconds = await _sessions(around, SESSIONS)
            bare = [await bare_commands(around, number) for number in range(BARE_ROUNDS)]
        ours, by_hand = SESSIONS / seconds, 1 / median(bare)
        meaning = f"{ours:.2f} sessions a second over {by_hand:.2f}; {SESSIONS} sessions, {BARE_ROUNDS} bare rounds"
        name = f"{workers} worker{'s' if workers > 1 else ''} / bare shell loop"
        figures.append(Figure(name=name, value=f"{ours / by_hand:.2f}", meaning=meaning))
    return figures


async def _sessions(around: World, number: int) -> float:
    """The seconds from the first POST to the last end."""

    async def one() -> None:
        session = await around.session(http, command="echo bench >> README.md")
        async for event in around.events(http, session):
            if event["type"] == "run.ended" and event["data"]["state"] != "succeeded":
                raise RuntimeError(f"a session ended {event['data']}")

    async with around.http() as http:
        began = time.monotonic()
        await asyncio.gather(*(one() for _ in range(number)))
        return time.monotonic() - began


async def takeover() -> list[Figure]:
    """From the SIGKILL of a worker to the first event of the run's next attempt, on the other worker."""
    seconds = []
    async with world(workers=2) as around, around.http() as http:
        for _ in range(KILLS):
            seconds.append(await _one_takeover(around, http))
    value = f"{median(seconds):.2f} s, {max(seconds):.2f} s"
    return [Figure(name="takeover after kill -9", value=value, meaning=f"p50, max of {KILLS}, one machine")]


async def _one_takeover(around: World, http: Any) -> float:
    session = await around.session(http, command="echo started; sleep 1")
    killed, at = None, 0.0
    taken = None
    async for event in around.events(http, session):
        if killed is None and event["type"] == "output" and "started" in event["data"]["text"]:
            killed = _owner(around)
            at = time.time()
            await killed.stop(signal.SIGKILL)
        elif event["type"] == "run.taken_over" and taken is None:
            taken = datetime.fromisoformat(event["at"]).timestamp() - at
    if killed is None or taken is None:
        raise RuntimeError("the run was not taken over")
    await killed.start(around.settings)
    return taken


def _owner(around: World) -> Process:
    """The worker whose sandbox runs a command: the only one with a bubblewrap below it."""
    return max(around.workers, key=lambda worker: len(tree(worker.pid)))
