"""Environments: a command in one beside the host's, the disk of sessions that share one, a second setup's caches."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.figure import Figure, median
from benchmarks.sandbox import IN_A_ROW, QUIET_SECONDS
from benchmarks.world import LOGIN, World
from gitward.grants.endpoint import Nowhere
from gitward.sandboxes import Command, Limits, Sandbox, foreign_folders
from gitward.sandboxes.engine import BubblewrapEngine
from made_environments import STORE, image_of

ROUNDS = 60
SESSIONS = 3
ENVIRONMENT = "go"
SETTINGS = {"GITWARD_ENVIRONMENTS_DIR": str(STORE)}
_BUILD = "CGO_ENABLED=0 go build -gcflags=all=-N ./..."  # its own flags: no package is there already; and no gcc
_FILES = {
    "go.mod": "module example.com/app\n\ngo 1.19\n",
    "main.go": 'package main\n\nimport "net/http"\n\nfunc main() { http.ListenAndServe("", nil) }\n',
}


async def environments(world: World) -> list[Figure]:
    return [*await _commands(world.root / "commands"), await _disk(world.root / "disk"), await _caches(world)]


async def _commands(folder: Path) -> list[Figure]:
    """`true` in an environment and on the host, in turn in one sandbox."""
    folder.mkdir(mode=0o711)
    engine = BubblewrapEngine(slots=2)
    ready: dict[bool, list[float]] = {True: [], False: []}
    at_once: dict[bool, list[float]] = {True: [], False: []}
    await engine.start()
    try:
        sandbox = await engine.open(
            name="bench", workspace=folder / "w", endpoint=Nowhere(), limits=Limits(), image=image_of(ENVIRONMENT)
        )
        for number in range(ROUNDS + 5):
            for in_image in (True, False) if number % 2 else (False, True):
                await asyncio.sleep(QUIET_SECONDS)
                first = await _true(sandbox, in_image=in_image)
                following = [await _true(sandbox, in_image=in_image) for _ in range(IN_A_ROW if number % 10 > 7 else 0)]
                if number >= 5:
                    ready[in_image].append(first)
                    at_once[in_image] += following
        await sandbox.close()
    finally:
        await engine.stop()
    told = {"`true` in an environment / on the host": ready, "the same, ten that follow at once": at_once}
    return [
        Figure(
            name=name,
            value=f"{median(seconds[True]) / median(seconds[False]):.2f}",
            meaning=f"{median(seconds[True]) * 1000:.1f} ms over {median(seconds[False]) * 1000:.1f} ms",
        )
        for name, seconds in told.items()
    ]


async def _true(sandbox: Sandbox, *, in_image: bool) -> float:
    began = time.monotonic()
    completed = await sandbox.run(Command(argv=("true",), timeout_seconds=60, in_image=in_image))
    if completed.exit_code != 0:
        raise RuntimeError(f"`true` ended with {completed.exit_code}")
    return time.monotonic() - began


async def _disk(folder: Path) -> Figure:
    """What lies on the disk while so many sessions have an environment open, beside the image alone."""
    folder.mkdir(mode=0o711)
    image = image_of(ENVIRONMENT)
    alone = sum(foreign_folders.usage(image.root))
    engine = BubblewrapEngine(slots=SESSIONS + 1)
    await engine.start()
    try:
        opened = [
            await engine.open(
                name=f"disk-{number}", workspace=folder / str(number), endpoint=Nowhere(), limits=Limits(), image=image
            )
            for number in range(SESSIONS)
        ]
        for sandbox in opened:
            await _true(sandbox, in_image=True)
        together = sum(foreign_folders.usage(image.root)) + sum(foreign_folders.usage(folder))
        for sandbox in opened:
            await sandbox.close()
    finally:
        await engine.stop()
    return Figure(
        name=f"disk of {SESSIONS} sessions / of the image",
        value=f"{together / alone:.3f}",
        meaning=f"{together / 2**20:.1f} MiB over {alone / 2**20:.1f} MiB",
    )


async def _caches(world: World) -> Figure:
    """A setup that builds Go's standard library, and a follow-up's, which finds it in the session's caches."""
    repository = await world.github.add_repository(f"{LOGIN}/app", files=_FILES, permissions={LOGIN: "admin"})
    async with world.http() as http:
        wanted = {
            "repo": repository.full_name,
            "environment": ENVIRONMENT,
            "setup": _BUILD,
            "command": "true",
        }
        answer = await http.post("/sessions", json=wanted)
        answer.raise_for_status()
        session = answer.json()
        first = await _setup_seconds(http, session["id"], session["runs"][0]["id"])
        answer = await http.post(f"/sessions/{session['id']}/runs", json={"command": "true"})
        answer.raise_for_status()
        second = await _setup_seconds(http, session["id"], answer.json()["id"])
    return Figure(
        name="first setup / second, with caches",
        value=f"{first / second:.1f}",
        meaning=f"{first:.1f} s over {second:.1f} s",
    )


async def _setup_seconds(http: httpx2.AsyncClient, session_id: str, run_id: str) -> float:
    while True:
        run: dict[str, Any] = (await http.get(f"/sessions/{session_id}/runs/{run_id}")).json()
        if run["state"] == "succeeded":
            return float(next(step["seconds"] for step in run["steps"] if step["name"] == "setup"))
        if run["state"] in {"failed", "cancelled"}:
            said = (await http.get(f"/sessions/{session_id}/events", params={"run_id": run_id})).text[-2500:]
            raise RuntimeError(f"the run {run['state']}: {run['message']}\n{said}")
        await asyncio.sleep(0.2)
