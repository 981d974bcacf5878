"""The audit in its order: plant values, run a hostile command, search everything meanwhile and afterwards."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitward.audit import folders, objects, processes
from gitward.audit.caller import RUN_SECONDS, Caller
from gitward.audit.channels import Channel
from gitward.audit.database import search_artifacts, search_tables
from gitward.audit.ledger import Ledger
from gitward.audit.needles import Plant
from gitward.audit.plants import planted_outside
from gitward.audit.processes import Exempt, Sampler
from gitward.audit.stage import Stage
from gitward.errors import GitwardError
from gitward.runs.storage.workspace_names import workspace_of
from gitward_standin import ReceivedRequest

HOSTILE = Path(__file__).with_name("inside.sh")
READY = "audit: waiting"
_SEARCHED_APART = frozenset({"home", "work", "objects"})  # of a workspace
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an audit has seen, before it is judged."""

    stage: Stage
    ledger: Ledger
    plant: Plant
    samples: int
    processes: int
    exempt: tuple[Exempt, ...]
    uses: int  # how often upstream saw the token, where it belongs; beside a live service nobody can count it
    seconds: float


async def audit(stage: Stage, say: Say) -> Outcome:
    """Runs one session with the hostile command. Raises GitwardError when it could not be carried out."""
    began = time.time()
    plant = Plant()
    ledger = Ledger(stage.token, plant, stage.keys)
    sampler = Sampler(ledger, stage.pid, shared=stage.live)
    async with planted_outside(stage, plant) as metrics:
        sampler.start()
        try:
            async with Caller(stage.url, stage.jwt, ledger) as caller:
                session = await _run(stage, caller, ledger, plant, say)
                say("Searching what the run left behind ...")
                await _afterwards(stage, caller, ledger, session, began)
                await caller.get(metrics, Channel.METRICS)
                await caller.archive(f"/sessions/{session['id']}")
        finally:
            await asyncio.to_thread(sampler.stop)
    return Outcome(
        stage=stage,
        ledger=ledger,
        plant=plant,
        samples=sampler.samples,
        processes=sampler.seen,
        exempt=tuple(sampler.exempt.values()),
        uses=_received(stage, ledger),
        seconds=time.time() - began,
    )


async def _run(stage: Stage, caller: Caller, ledger: Ledger, plant: Plant, say: Say) -> dict[str, Any]:
    """The session with its hostile command, up to its end."""
    variables = {
        "PLANTED": plant.text,
        "PLANTED_BINARY": base64.b64encode(plant.binary).decode(),
        "AUDIT_REFLECTS": "" if stage.live else "yes",
    }
    body = {
        "repo": stage.repository,
        "title": "gitward audit-token",
        "command": HOSTILE.read_text(),
        "env": variables,
        "publish": {"mode": "dry_run" if stage.live else "draft"},
        "timeout_seconds": int(RUN_SECONDS),
    }
    say("A hostile command runs inside; every process is watched ...")
    session = await caller.post("/sessions", body)
    url, run_id = f"/sessions/{session['id']}", session["runs"][0]["id"]
    workspace = workspace_of(stage.data / "workspaces", session["id"])
    waited = False
    # A worker of another machine may take the run of a live service: then its workspace is there.
    async for event in caller.stream(f"{url}/events", run_id):
        if not waited and event["type"] == "output" and READY in event["data"]["text"]:
            waited = True
            if not workspace.is_dir():
                raise GitwardError("The run went to a worker of another machine: run this audit there.")
            say("It waits; searching processes, files and what it collected ...")
            await asyncio.to_thread(_meanwhile, stage, ledger, workspace)
            stored = workspace / "work" / "repo" / ".git" / "objects"
            await objects.search_objects(ledger, stored, loose=Channel.LOOSE, packed=Channel.PACKED)
            (workspace / "home" / ".audit" / "go").touch()
    run = (await caller.get(f"{url}/runs/{run_id}")).json()
    if not waited or run["state"] != "succeeded":
        raise GitwardError(f"The hostile command did not come to its end: {run['state']}, {run['message']}")
    return session


def _meanwhile(stage: Stage, ledger: Ledger, workspace: Path) -> None:
    """While the command waits inside, with all that it has."""
    home, checkout = workspace / "home", workspace / "work" / "repo"
    folders.search_folder(ledger, Channel.WORK, checkout, but=frozenset({".git"}))
    folders.search_folder(ledger, Channel.GIT_FOLDER, checkout / ".git", but=frozenset({"objects"}))
    folders.search_records(ledger, home)
    folders.search_folder(ledger, Channel.AGENTS, workspace, but=_SEARCHED_APART)
    folders.search_folder(ledger, Channel.AGENTS, workspace / "work", but=frozenset({"repo"}))
    folders.search_folder(ledger, Channel.HOME, home, but=frozenset({".audit"}))
    for pid in processes.of_service(stage.pid):
        for place, content in processes.open_files(pid):
            ledger.search(Channel.OPEN_FILES, f"{processes.named(pid)}, {place}", content)
        if processes.is_broker(pid):
            continue
        for place, content in processes.memory(pid):
            ledger.search(Channel.MEMORY, f"{processes.named(pid)}, {place}", content)


async def _afterwards(stage: Stage, caller: Caller, ledger: Ledger, session: dict[str, Any], began: float) -> None:
    url = f"/sessions/{session['id']}"
    await caller.pages(f"{url}/events")
    for path in (url, "/sessions", f"{url}/none", "/health", "/ready", "/openapi.json"):
        await caller.get(path)
    await caller.get("/metrics", Channel.METRICS)
    await caller.get(f"{url}/diff", Channel.DIFF)
    await caller.get(f"{url}/patch", Channel.PATCH)
    bundle = await caller.get(f"{url}/bundle", Channel.BUNDLE)
    if bundle.is_success:
        mirrors = sorted((stage.data / "mirrors").glob("*/objects"))
        await objects.search_bundle(ledger, bundle.content, bases=mirrors)
    if stage.github is not None:
        pushed = stage.github.repository(stage.repository).path / "objects"
        await objects.search_objects(ledger, pushed, loose=Channel.PUSHED, packed=Channel.PUSHED)
    await search_tables(ledger, stage.database_url)
    await search_artifacts(ledger, stage.database_url)
    await asyncio.to_thread(_search_files, stage, ledger, began)


def _search_files(stage: Stage, ledger: Ledger, began: float) -> None:
    for path in stage.data.glob("*.db*"):
        folders.search_file(ledger, Channel.DATABASE_FILES, path, place=path.name)
    for agents in stage.data.glob("workspaces/*/work/agent"):  # of every session that has been here
        folders.search_folder(ledger, Channel.AGENTS, agents)
    databases = frozenset(path.name for path in stage.data.glob("*.db*"))
    folders.search_folder(ledger, Channel.DATA_FOLDER, stage.data, but=databases | {"workspaces"})
    if stage.log is not None:
        folders.search_file(ledger, Channel.LOG, stage.log, place=stage.log.name)
    folders.search_temporary(ledger, since=began, but=stage.data)


def _received(stage: Stage, ledger: Ledger) -> int:
    """Searches what upstream was sent; how often the token was where it belongs."""
    if stage.github is None:
        return 0
    for request in stage.github.requests:
        ledger.search(Channel.RECEIVED, f"{request.method} {request.path}", _all_but_authorization(request))
    return sum(request.login is not None for request in stage.github.requests)


def _all_but_authorization(request: ReceivedRequest) -> bytes:
    headers = [value for name, value in request.raw_headers if name.lower() != b"authorization"]
    return b"\n".join([request.query.encode(), request.body, *headers])
