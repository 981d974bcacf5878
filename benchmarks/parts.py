"""The parts of the benchmark. Each returns lines for the table."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.agents import agents_memory, sessions, updates
from benchmarks.bare import bare_commands
from benchmarks.broker import broker
from benchmarks.brokers import brokers
from benchmarks.egress import egress
from benchmarks.environments import SETTINGS, environments
from benchmarks.figure import Figure, median
from benchmarks.fleet import takeover, throughput
from benchmarks.history import disk, history, publishing
from benchmarks.pages import web
from benchmarks.posts import pickup, posts
from benchmarks.processes import cpu_seconds, memory, proportional_memory
from benchmarks.sandbox import compared_commands
from benchmarks.start import start
from benchmarks.streams import streams
from benchmarks.waits import waits
from benchmarks.world import LOGIN, World

ROUNDS = 7
EIGHT_ROUNDS = 5


async def whole_session(world: World) -> list[Figure]:
    """A session with a trivial command beside the same gh and git commands run bare, interleaved.

    Warm: the repository's mirror is there. Cold: another repository each time, whose mirror is made.
    """
    ours, first_output, bare, cold = [], [], [], []
    steps: dict[str, list[float]] = {}
    async with world.http() as http:
        for number in range(ROUNDS + 1):
            seconds, output, run = await _session(world, http)
            by_hand = await bare_commands(world, number)
            await world.github.add_repository(f"{LOGIN}/cold-{number}", permissions={LOGIN: "admin"})
            first, _, _ = await _session(world, http, repo=f"{LOGIN}/cold-{number}")
            if number == 0:
                continue  # what is loaded once is not what is measured
            ours.append(seconds)
            cold.append(first)
            first_output.append(output)
            bare.append(by_hand)
            for step in run["steps"]:
                steps.setdefault(step["name"], []).append(step["seconds"])
    ratio = median(ours) / median(bare)
    in_steps = {name: median(values) for name, values in steps.items()}
    rest = median(ours) - sum(in_steps.values())
    where = ", ".join(f"{name} {seconds:.2f}" for name, seconds in in_steps.items())
    return [
        Figure(name="session / bare", value=f"{ratio:.2f}", meaning=f"{median(ours):.2f} s over {median(bare):.2f} s"),
        Figure(
            name="cold session / bare",
            value=f"{median(cold) / median(bare):.2f}",
            meaning=f"{median(cold):.2f} s; the first of its repository",
        ),
        Figure(name="where it goes", value=f"{rest:.2f} s", meaning=f"between the steps; the steps: {where} s"),
        Figure(name="first output", value=f"{median(first_output):.2f} s", meaning="POST to first line of output"),
    ]


async def eight(world: World) -> list[Figure]:
    """Eight sessions at once beside eight bare scripts at once, interleaved."""
    ours, bare = [], []
    async with world.http() as http:
        for number in range(EIGHT_ROUNDS + 1):
            began = time.monotonic()
            await asyncio.gather(*(_session(world, http) for _ in range(8)))
            seconds = time.monotonic() - began
            began = time.monotonic()
            await asyncio.gather(*(bare_commands(world, 100 + 8 * number + each) for each in range(8)))
            if number > 0:
                ours.append(seconds)
                bare.append(time.monotonic() - began)
    ratio = median(ours) / median(bare)
    meaning = f"{median(ours):.2f} s over {median(bare):.2f} s"
    return [Figure(name="eight sessions at once / eight bare", value=f"{ratio:.2f}", meaning=meaning)]


async def _session(world: World, http: Any, **body: Any) -> tuple[float, float, dict[str, Any]]:
    began, output = time.monotonic(), 0.0
    session = await world.session(http, command="echo bench | tee -a README.md", **body)
    async for event in world.events(http, session):
        if not output and event["type"] == "output" and event["data"]["step"] == "execute":
            output = time.monotonic() - began
    seconds = time.monotonic() - began
    run: dict[str, Any] = (await http.get(f"/sessions/{session['id']}")).json()["runs"][0]
    if run["state"] != "succeeded" or run["pull_request"] is None:
        raise RuntimeError(f"the session ended {run['state']}: {run['message']}")
    return seconds, output, run


async def idle(world: World) -> list[Figure]:
    """(d): memory and CPU of the service at rest, and what one running session adds."""
    async with world.http() as http:
        await _session(world, http)
        await asyncio.sleep(2)
        began, cpu = time.monotonic(), cpu_seconds(world.pid)
        await asyncio.sleep(10)
        share = (cpu_seconds(world.pid) - cpu) / (time.monotonic() - began)
        resting, proportional = memory(world.pid), proportional_memory(world.pid)
        session = await world.session(http, command="echo ready; sleep 3")
        async for event in world.events(http, session):
            if event["type"] == "output" and event["data"]["step"] == "execute":
                break
        running = memory(world.pid)
        await http.post(f"/sessions/{session['id']}/cancel")
    return [
        Figure(name="idle memory", value=f"{resting:.0f} MB", meaning="resident, of service and its children"),
        Figure(name="idle memory, PSS", value=f"{proportional:.0f} MB", meaning="the same; shared pages count once"),
        Figure(name="idle CPU", value=f"{share * 100:.1f} %", meaning="of one core, over 10 s"),
        Figure(name="a running session", value=f"+{running - resting:.0f} MB", meaning="resident, `sleep` in it"),
    ]


async def sandboxed_true(world: World) -> list[Figure]:
    """(e): what one command in a sandbox costs, on the real engine."""
    found = await compared_commands(world.root / "sandbox", rounds=60)
    by_hand = median(found.bare)
    told = {
        "a command when its sandbox is ready": found.ready,
        "one of ten that follow at once": found.at_once,
        "the same, as our own programs do": found.in_series,
    }
    return [
        Figure(
            name=f"`true`: {name}"[:42],
            value=f"{median(seconds) / by_hand:.2f}",
            meaning=f"{median(seconds) * 1000:.1f} ms over {by_hand * 1000:.1f} ms of bubblewrap by hand",
        )
        for name, seconds in told.items()
    ]


# With a running service, and without one.
WITH_SERVICE: dict[str, Callable[[World], Awaitable[list[Figure]]]] = {
    "session": whole_session,
    "eight": eight,
    "idle": idle,
    "profile": waits,
    "sandbox": sandboxed_true,
    "history": history,
    "disk": disk,
    "publish": publishing,
    "agents": sessions,
    "agents-memory": agents_memory,
    "agents-updates": updates,
    "environments": environments,
}
# Of `world`: the first makes and removes thousands of files.
OPTIONS: dict[str, dict[str, Any]] = {
    "history": {"in_memory": True},
    "eight": {"runs": 8},
    "idle": {"restarted": True},
    "profile": {"watched": True},
    "agents": {"agents": True},
    "agents-memory": {"agents": True},
    "agents-updates": {"agents": True},
    "environments": {"more": SETTINGS},
}
ALONE: dict[str, Callable[[], Awaitable[list[Figure]]]] = {
    "start": start,
    "posts": posts,
    "pickup": pickup,
    "throughput": throughput,
    "takeover": takeover,
    "streams": streams,
    "web": web,
    "broker": broker,
    "brokers": brokers,
    "egress": egress,
}
