"""The parts of the benchmark. Each returns lines for the table."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks.broker import broker
from benchmarks.figure import Figure, median, quantile
from benchmarks.processes import cpu_seconds, memory
from benchmarks.sandbox import sandboxed_commands
from benchmarks.world import REPOSITORY, TOKEN, World
from gitward.settings import clean_environment

ROUNDS = 7
RATE, SECONDS = 50, 10  # POSTs a second, and for how long


async def whole_session(world: World) -> list[Figure]:
    """(a), (b): a session with a trivial command beside the same gh and git commands run bare, interleaved."""
    ours, first_output, bare = [], [], []
    steps: dict[str, list[float]] = {}
    async with world.http() as http:
        for number in range(ROUNDS + 1):
            seconds, output, run = await _session(world, http)
            by_hand = await _bare(world, number)
            if number == 0:
                continue  # what is loaded once is not what is measured
            ours.append(seconds)
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
        Figure(name="where it goes", value=f"{rest:.2f} s", meaning=f"between the steps; the steps: {where} s"),
        Figure(name="first output", value=f"{median(first_output):.2f} s", meaning="POST to first line of output"),
    ]


async def _session(world: World, http: Any) -> tuple[float, float, dict[str, Any]]:
    began, output = time.monotonic(), 0.0
    session = await world.session(http, command="echo bench | tee -a README.md")
    async for event in world.events(http, session):
        if not output and event["type"] == "output" and event["data"]["step"] == "execute":
            output = time.monotonic() - began
    seconds = time.monotonic() - began
    run: dict[str, Any] = (await http.get(f"/sessions/{session['id']}")).json()["runs"][0]
    if run["state"] != "succeeded" or run["pull_request"] is None:
        raise RuntimeError(f"the session ended {run['state']}: {run['message']}")
    return seconds, output, run


async def _bare(world: World, number: int) -> float:
    home = world.root / f"bare-{number}"
    home.mkdir()
    script = Path(__file__).with_name("bare.sh")
    environment = {**clean_environment(), "SSL_CERT_FILE": str(world.ca), "GIT_SSL_CAINFO": str(world.ca)}
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *("bash", str(script), REPOSITORY, f"bare/{number}", str(home)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
    )
    async with asyncio.timeout(60):
        out, _ = await process.communicate(TOKEN.encode())
    if process.returncode != 0:
        raise RuntimeError(f"the bare commands failed: {out.decode(errors='replace')[-1000:]}")
    return time.monotonic() - began


async def posts(world: World) -> list[Figure]:
    """(c): POST /sessions at a steady rate, each request at its own time whatever became of the others."""
    latencies: list[float] = []

    async def one(http: Any, at: float) -> None:
        await asyncio.sleep(max(0, at - time.monotonic()))
        session = await world.session(http, command="true")
        latencies.append(time.monotonic() - at)
        await http.post(f"/sessions/{session['id']}/cancel")

    async with world.http() as http:
        start = time.monotonic() + 0.1
        await asyncio.gather(*(one(http, start + number / RATE) for number in range(RATE * SECONDS)))
    p50, p99 = quantile(latencies, 0.5), quantile(latencies, 0.99)
    meaning = f"{RATE} a second for {SECONDS} s, runs going on beside them; p50, p99"
    return [Figure(name="POST /sessions", value=f"{p50 * 1000:.0f} ms, {p99 * 1000:.0f} ms", meaning=meaning)]


async def idle(world: World) -> list[Figure]:
    """(d): memory and CPU of the service at rest, and what one running session adds."""
    async with world.http() as http:
        await _session(world, http)
        await asyncio.sleep(2)
        began, cpu = time.monotonic(), cpu_seconds(world.pid)
        await asyncio.sleep(10)
        share = (cpu_seconds(world.pid) - cpu) / (time.monotonic() - began)
        resting = memory(world.pid)
        session = await world.session(http, command="echo ready; sleep 3")
        async for event in world.events(http, session):
            if event["type"] == "output" and event["data"]["step"] == "execute":
                break
        running = memory(world.pid)
        await http.post(f"/sessions/{session['id']}/cancel")
    return [
        Figure(name="idle memory", value=f"{resting:.0f} MB", meaning="resident, of service, launcher and broker"),
        Figure(name="idle CPU", value=f"{share * 100:.1f} %", meaning="of one core, over 10 s"),
        Figure(name="a running session", value=f"+{running - resting:.0f} MB", meaning="resident, `sleep` in it"),
    ]


async def sandboxed_true(world: World) -> list[Figure]:
    """(e): what one command in a sandbox costs, on the real engine."""
    seconds = await sandboxed_commands(world.root / "sandbox", rounds=100)
    return [Figure(name="sandboxed `true`", value=f"{median(seconds) * 1000:.1f} ms", meaning="median of 100")]


# With a running service, and without one.
WITH_SERVICE: dict[str, Callable[[World], Awaitable[list[Figure]]]] = {
    "session": whole_session,
    "idle": idle,
    "sandbox": sandboxed_true,
    "posts": posts,
}
ALONE: dict[str, Callable[[], Awaitable[list[Figure]]]] = {"broker": broker}
