"""Agents: a session with a prompt beside the same agent by hand, its memory, and what a flood of updates costs."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure, median, quantile
from benchmarks.processes import cpu_seconds, proportional_memory, proportional_memory_of, tree
from benchmarks.world import MODEL_KEY, PROGRAMS, REPOSITORY, TOKEN, World
from gitward.agents.built_in import BUILT_IN
from gitward.agents.catalogue import NODE, Agent
from gitward.agents.installed import CURRENT
from gitward.sandboxes.bwrap_process import NICENESS
from gitward.settings.environment import clean_environment
from gitward_standin.language_model import Say, Shell
from gitward_standin.language_model.questions import Question

ROUNDS = 5
TOOL_SECONDS = 900.0  # for an agent to start its tool, on a busy machine
UPDATES, A_SECOND = 100_000, 1_500  # of the flood; an agent may send 2,000 a second
_DRIVER = Path(__file__).parents[1] / "tests" / "support" / "agent_by_hand.py"
_FLOOD = f"""
began = time.time()
for number in range({UPDATES}):
    if number % {A_SECOND // 50} == 0:
        time.sleep(max(0, began + number / {A_SECOND} - time.time()))
    if number % 10 == 0:
        update("tool_call_update", toolCallId=str(number // 500), title="Work", kind="other", status="in_progress")
    else:
        say(f"{{time.time():.3f}} ")
"""


def edit(question: Question) -> Say | Shell:
    """Looks around, writes a file, and says so."""
    match question.done:
        case 0:
            return Shell(command="git status --short && ls")
        case 1:
            return Shell(command="echo written by an agent >> NOTES.md")
        case _:
            return Say(text="I added NOTES.md.")


def wait(question: Question) -> Say | Shell:
    return Shell(command="sleep 12") if question.done == 0 else Say(text="Done.")


async def sessions(world: World) -> list[Figure]:
    async with world.http() as http:
        return [figure for agent in BUILT_IN.values() for figure in await _compared(world, http, agent)]


async def agents_memory(world: World) -> list[Figure]:
    async with world.http() as http:
        return [await _memory(world, http, agent) for agent in BUILT_IN.values()]


async def updates(world: World) -> list[Figure]:
    async with world.http() as http:
        return await _flood(world, http)


async def _compared(world: World, http: Any, agent: Agent) -> list[Figure]:
    """Interleaved. The first round, in which files are read for the first time, does not count."""
    assert world.model is not None
    world.model.script = edit
    ours, bare, steps = [], [], dict[str, list[float]]()
    for number in range(ROUNDS + 1):
        began = time.monotonic()
        run = await _run(world, http, agent=agent.name, prompt="Add NOTES.md.")
        seconds = time.monotonic() - began
        if run["state"] != "succeeded" or run["pull_request"] is None:
            raise RuntimeError(f"the session of {agent.name} ended {run['state']}: {run['message']}")
        by_hand = await _by_hand(world, agent, number)
        if number == 0:
            continue
        ours.append(seconds)
        bare.append(by_hand)
        for step in run["steps"]:
            steps.setdefault(step["name"], []).append(step["seconds"])
    where = ", ".join(f"{name} {median(values):.2f}" for name, values in steps.items())
    print(f"bench: {agent.name}: {median(ours):.2f} s over {median(bare):.2f} s; {where}", file=sys.stderr, flush=True)
    return [
        Figure(
            name=f"session with {agent.name} / by hand",
            value=f"{median(ours) / median(bare):.2f}",
            meaning=f"{median(ours):.2f} s over {median(bare):.2f} s; steps: {where} s; load {os.getloadavg()[0]:.1f}",
        )
    ]


async def _by_hand(world: World, agent: Agent, number: int) -> float:
    """The agent is as nice as in a sandbox: on a busy machine niceness alone would be compared otherwise."""
    home = world.root / f"{agent.name}-{number}"
    home.mkdir()
    folder = home / "agent"
    marks = {"{folder}": str(folder), "{program}": str(PROGRAMS / agent.name / CURRENT)}
    marks["{node}"] = str(PROGRAMS / NODE / CURRENT / "bin" / "node")
    for each in (folder, *(folder / path for path in agent.folders)):
        each.mkdir(parents=True, exist_ok=True)
    for file in agent.files:
        lines = [line for line in file.text.splitlines() if "{model}" not in line]
        (folder / file.path).write_text("\n".join(_filled(line, marks) for line in lines))
    argv = [_filled(part, marks) for part in agent.argv]
    env = {name: _filled(text, marks) for name, text in agent.env.items() if "{model}" not in text}
    roots = ("SSL_CERT_FILE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS")
    keys = {host.variable: MODEL_KEY for host in agent.hosts}
    wish = json.dumps(
        {"argv": argv, "cwd": str(home / "repo"), "mode": agent.mode, "prompt": "Add NOTES.md.", "strict": True}
    )
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *("bash", str(Path(__file__).with_name("bare_agent.sh")), str(NICENESS)),
        *(REPOSITORY, f"bare/{agent.name}-{number}", str(home), sys.executable, str(_DRIVER), wish),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**clean_environment(), **dict.fromkeys(roots, str(world.ca)), **keys, **env, "IS_SANDBOX": "1"},
    )
    async with asyncio.timeout(TOOL_SECONDS):
        out, _ = await process.communicate(TOKEN.encode())
    if process.returncode != 0:
        raise RuntimeError(f"{agent.name} by hand failed: {out.decode(errors='replace')[-2000:]}")
    seconds = time.monotonic() - began
    await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)
    return seconds


def _filled(text: str, marks: dict[str, str]) -> str:
    for mark, value in marks.items():
        text = text.replace(mark, value)
    return text


async def _run(world: World, http: Any, **body: Any) -> dict[str, Any]:
    session = await world.session(http, **body)
    async for _ in world.events(http, session):
        pass
    run: dict[str, Any] = (await http.get(f"/sessions/{session['id']}")).json()["runs"][0]
    return run


async def _memory(world: World, http: Any, agent: Agent) -> Figure:
    """While the agent's tool runs. What lies in the sandbox is the agent's own."""
    assert world.model is not None
    world.model.script = wait
    await asyncio.sleep(2)
    before = proportional_memory(world.pid)
    running = asyncio.create_task(_run(world, http, agent=agent.name, prompt="Wait."))
    async with asyncio.timeout(TOOL_SECONDS):
        while not (inside := _inside(world.pid)):  # the processes of others give no signal
            await asyncio.sleep(0.2)
            if running.done():
                raise RuntimeError(f"{agent.name}'s tool did not run: {running.result()['message']}")
    await asyncio.sleep(2)
    own = sum(proportional_memory_of(pid) for pid in inside)
    beyond = proportional_memory(world.pid) - before - own
    told = f"bench: {agent.name}: {beyond:.1f} MB beyond {own:.0f} MB; load {os.getloadavg()[0]:.1f}"
    print(told, file=sys.stderr, flush=True)  # at once: the next agent may fail
    await running
    return Figure(
        name=f"memory of a session beyond {agent.name}'s own",
        value=f"{beyond:.1f} MB",
        meaning=f"PSS; {agent.name} itself: {own:.0f} MB",
    )


def _inside(pid: int) -> list[int]:
    """The processes of the agent, once its tool runs."""
    found = tree(pid)
    if not any(_command(each)[:2] == ["sleep", "12"] for each in found):
        return []
    return [each for each in found if _is_confined(each, pid)]


def _command(pid: int) -> list[str]:
    """Of a process that may have ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def _is_confined(pid: int, of: int) -> bool:
    """Whether it has a process namespace of its own, and is no part of bubblewrap."""
    try:
        name, own = Path(f"/proc/{pid}/comm").read_text().strip(), Path(f"/proc/{pid}/ns/pid").readlink()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return own != Path(f"/proc/{of}/ns/pid").readlink() and name != "bwrap"


async def _flood(world: World, http: Any) -> list[Figure]:
    """One turn with 100,000 updates: what they cost the worker, how many rows they become, and how late they are seen.

    Each message tells when it was said; those that wait for their turn in the burst's last part are among them.
    """
    await asyncio.sleep(2)
    cpu, began, late, rows = cpu_seconds(world.pid), time.monotonic(), list[float](), 0
    session = await world.session(http, agent="small", prompt=_FLOOD)
    async for event in world.events(http, session):
        rows += 1
        if event["type"] == "agent.message" and event["data"]["text"].strip():
            late.append(time.time() - float(event["data"]["text"].split()[-1]))
    seconds = time.monotonic() - began
    run: dict[str, Any] = (await http.get(f"/sessions/{session['id']}")).json()["runs"][0]
    if run["state"] != "succeeded":
        raise RuntimeError(f"the flood ended {run['state']}: {run['message']}")
    used = cpu_seconds(world.pid) - cpu  # those of the sandbox have ended, and are not among them
    return [
        Figure(
            name="CPU for 1,000 updates of an agent",
            value=f"{1000 * used / (UPDATES / 1000):.1f} ms",
            meaning=f"{used:.1f} s of the service's processes for {UPDATES:,} in {seconds:.0f} s",
        ),
        Figure(name="share of a core", value=f"{used / seconds:.1%}", meaning="in that time"),
        Figure(name="rows of that turn", value=f"{rows}", meaning="events of the whole run"),
        Figure(
            name="its stream is behind",
            value=f"{1000 * quantile(late, 0.5):.0f} ms",
            meaning=f"median; 99 of 100 {1000 * quantile(late, 0.99):.0f} ms, most {1000 * max(late):.0f} ms",
        ),
    ]
