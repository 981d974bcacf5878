"""What a running session takes of memory, and what it costs to fork a broker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure, median, quantile
from benchmarks.processes import proportional_memory, proportional_memory_of, tree
from benchmarks.world import World, world
from gitward.broker import BrokerConfig, Brokers
from gitward.grants import clock
from gitward.grants.grant import Grant
from gitward.secrets import Secret

RUNS = 8
FORKS = 50
_SETTLE_SECONDS = 2.0
_COMMAND = "gh api user > /dev/null; echo ready; sleep 600"  # its broker has been used


async def running() -> list[Figure]:
    """(PSS of all processes with 8 runs, minus that with none) / 8; `gh` has asked something in each."""
    async with world(runs=RUNS) as around, around.http() as http:
        await _ended(around, http)  # what the first run loads is not what a run costs
        await asyncio.sleep(_SETTLE_SECONDS)
        none = proportional_memory(around.pid)
        sessions = [await around.session(http, command=_COMMAND) for _ in range(RUNS)]
        await asyncio.gather(*(_ready(around, http, session) for session in sessions))
        await asyncio.sleep(_SETTLE_SECONDS)
        all_of_them, by_name = proportional_memory(around.pid), _by_name(around.pid)
        for session in sessions:
            await http.post(f"/sessions/{session['id']}/cancel")
    names = ", ".join(f"{name} {megabytes / RUNS:.1f}" for name, megabytes in by_name[:6])
    meaning = f"({all_of_them:.0f} − {none:.0f} MB) / {RUNS}, PSS; all processes, each over {RUNS}: {names}"
    return [Figure(name="a running session", value=f"{(all_of_them - none) / RUNS:.1f} MB", meaning=meaning)]


async def forks() -> list[Figure]:
    """From `open` to a broker that knows its grant, and back; what of that is the worker's CPU."""
    opening, closing, cpu = [], [], []
    async with AsyncExitStack() as stack:
        brokers = Brokers(BrokerConfig(server_url="https://github.com", api_url="https://api.github.com"))
        await brokers.start()
        stack.push_async_callback(brokers.stop)
        for number in range(FORKS):
            began, used = time.monotonic(), time.process_time()
            opened = await brokers.open(_grant(str(number)), Secret("ghp_benchmark"), lambda _: None)
            cpu.append(time.process_time() - used)
            opening.append(time.monotonic() - began)
            began = time.monotonic()
            await opened.close()
            closing.append(time.monotonic() - began)
    meaning = (
        f"median of {FORKS} (p90 {quantile(opening, 0.9) * 1000:.1f}), of which CPU of the worker "
        f"{median(cpu) * 1000:.1f}; to close it {median(closing) * 1000:.1f} ms"
    )
    return [Figure(name="a broker for a grant", value=f"{median(opening) * 1000:.1f} ms", meaning=meaning)]


async def brokers() -> list[Figure]:
    """Memory of runs, and time of forks."""
    return [*await running(), *await forks()]


def _grant(run_id: str) -> Grant:
    return Grant(run_id=run_id, repository="a/b", push_ref="refs/heads/c", expires_at=clock.seconds() + 3600)


async def _ready(around: World, http: Any, session: dict[str, Any]) -> None:
    events: AsyncIterator[dict[str, Any]] = around.events(http, session)
    async for event in events:
        if event["type"] == "output" and "ready" in event["data"]["text"]:
            return
    raise RuntimeError("a session ended before its command was ready")


async def _ended(around: World, http: Any) -> None:
    async for _ in around.events(http, await around.session(http, command="gh api user")):
        pass


def _by_name(pid: int) -> list[tuple[str, float]]:
    """Megabytes of the tree, by what its processes are called, the largest first."""
    found: dict[str, float] = {}
    for each in tree(pid):
        name = Path(f"/proc/{each}/comm").read_text().strip()
        found[name] = found.get(name, 0.0) + proportional_memory_of(each)
    return sorted(found.items(), key=lambda item: -item[1])
