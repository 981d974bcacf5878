"""A worker is killed, stopped or cut off while it has runs in every step: another one brings all to a truthful end.

The worker is held in each step at once: by a gate of the stand-in GitHub, by the command itself, or by a lock in the
database. Then it is hit once. Every worker has a data folder of its own, as if on a machine of its own.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cable import Cable
from fleet import Fleet, WorkerProcess, fleet
from gitward.broker.wire.names import BROKER_NAME
from gitward_standin import Repository
from machine import slowness
from postgres import Postgres
from rig import Client, output

LEASE_SECONDS = 8.0  # a worker gives up when two thirds have gone without an answer
MARGIN_SECONDS = 3.0  # beyond the detection limit
BUSY_SECONDS = 6.0  # more, on a machine that runs other tests at the same time
SETTINGS: dict[str, Any] = {
    "GITWARD_LEASE_SECONDS": str(LEASE_SECONDS),
    "GITWARD_MAX_RUNS": "10",
    "GITWARD_MAX_RUNS_PER_USER": "10",
}
Json = dict[str, Any]
Hold = Callable[["Scene"], Awaitable[None]]


@dataclass(kw_only=True)
class Held:
    """One session whose run waits in one step."""

    step: str
    session: Json
    repository: Repository
    reached: Callable[[], Awaitable[Any]]
    release: Callable[[], None] = lambda: None
    events: list[Json] = field(default_factory=list)


class Scene:
    """A fleet with one worker that is going to be hit."""

    def __init__(self, made: Fleet, client: Client, database_url: str) -> None:
        self.fleet, self.client, self.signs = made, client, made.signs
        self.database = database_url
        self.held: list[Held] = []
        self._locks: list[psycopg.AsyncConnection[Any]] = []

    async def gate(self, step: str, method: str, path: str, **body: Any) -> Held:
        """A run that waits in GitHub's answer to its first such request."""
        repository = await self.fleet.rig.repository()
        gate = self.fleet.rig.github.gate(method=method, path=path.format(repo=repository.full_name))
        body.setdefault("command", "echo changed > file.txt")
        session = await self.client.session(repository, **body)
        held = Held(step=step, session=session, repository=repository, reached=gate.reached.wait, release=gate.open)
        self.held.append(held)
        return held

    async def command(self) -> None:
        """A run whose command waits for a sign."""
        repository = await self.fleet.rig.repository()
        wait = f"echo waiting; until [ -e {self.signs}/go ]; do sleep 0.1; done; echo changed > file.txt"
        session = await self.client.session(repository, command=wait)
        held = Held(step="execute", session=session, repository=repository, reached=asyncio.Event().wait)
        held.reached = lambda: self.until(held, lambda e: e["type"] == "output" and "waiting" in e["data"]["text"])
        held.release = (self.signs / "go").touch
        self.held.append(held)

    async def noting_its_push(self) -> None:
        """A run whose push has arrived, and whose worker waits for a lock to note that."""
        held = await self.gate("pushed", "POST", "/{repo}.git/git-receive-pack", command="echo ran; echo 1 > file.txt")
        await held.reached()
        await self.lock("SELECT 1 FROM sessions WHERE id = %s FOR UPDATE", held.session["id"])
        held.release()
        async with asyncio.timeout(300):
            while await held.repository.head(held.session["branch"]) is None:
                await asyncio.sleep(0.05)

    async def settling(self, held: Held) -> None:
        """Lets a run be done but for its last transaction, in which its worker waits for a lock."""
        await self.lock("LOCK TABLE tickets IN EXCLUSIVE MODE")
        held.release()
        await self.until(held, lambda e: e["type"] == "step.ended" and e["data"]["step"] == "pull_request")
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%DELETE FROM tickets%'"
        async with asyncio.timeout(300), await psycopg.AsyncConnection.connect(self.database) as connection:
            while not await (await connection.execute(waiting)).fetchall():
                await connection.rollback()
                await asyncio.sleep(0.05)

    async def lock(self, query: str, *parameters: str) -> None:
        connection = await psycopg.AsyncConnection.connect(self.database)
        self._locks.append(connection)
        await connection.execute(query.encode(), parameters)

    async def unlock(self) -> None:
        for connection in self._locks:
            await connection.close()

    async def until(self, held: Held, wanted: Callable[[Json], bool]) -> Json:
        async for event in self.client.stream(held.session):
            if wanted(event):
                return event
        raise AssertionError("the run ended before")

    async def workers(self) -> set[str]:
        """The names of those that the database lists."""
        async with await psycopg.AsyncConnection.connect(self.database) as connection:
            return {name for (name,) in await (await connection.execute("SELECT id FROM workers")).fetchall()}


async def begin(scene: Scene) -> None:
    """Runs in every step; all of the only worker there is."""
    await scene.gate("preflight", "GET", "/api/v3/repos/{repo}")
    await scene.gate("checkout", "POST", "/{repo}.git/git-upload-pack")
    await scene.command()
    await scene.gate("publish", "POST", "/{repo}.git/git-receive-pack")
    await scene.gate("pull_request", "POST", "/api/v3/repos/{repo}/pulls")
    async with asyncio.timeout(300):
        await asyncio.gather(*(held.reached() for held in scene.held))
    await scene.noting_its_push()
    settling = await scene.gate("settle", "POST", "/api/v3/repos/{repo}/pulls")
    async with asyncio.timeout(300):
        await settling.reached()
        # The same path for all repositories, so it comes last.
        await (await scene.gate("authenticate", "GET", "/api/v3/")).reached()
        await scene.settling(settling)  # nobody can post a session after it


async def assert_truth(scene: Scene, held: Held) -> Json:
    """The run ended once, by its second attempt, with one branch and one pull request."""
    run, events = await scene.client.finished(held.session)
    held.events = events
    types = [event["type"] for event in events]
    assert (run["state"], run["changed"], run["attempt"]) == ("succeeded", True, 2), (held.step, run)
    assert types.count("run.taken_over") == types.count("run.ended") == types.count("run.started") == 1
    told = [(event["at"], event["type"], event["data"]) for event in events if event["type"] != "output"]
    assert types.count("branch.pushed") == types.count("pull_request.opened") == 1, (held.step, told)
    assert [event["seq"] for event in events] == sorted({event["seq"] for event in events})
    branches = await held.repository.branches()
    assert sorted(branches) == sorted(["main", held.session["branch"]])
    assert branches[held.session["branch"]] == run["head_sha"]
    assert len(held.repository.pulls) == 1
    if held.step == "pushed":
        assert output(events) == "ran\n", "a finished push is not repeated, nor the command that made it"
    return run


def moment(event: Json) -> datetime:
    return datetime.fromisoformat(event["at"])


def of_type(events: list[Json], kind: str) -> Json:
    return next(event for event in events if event["type"] == kind)


def children_of(worker: WorkerProcess) -> list[str]:
    """Every process below the worker, as `ps` would show it: launcher, broker, supervisors, what runs in sandboxes."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text()
            except OSError:
                continue
            parents[int(folder.name)] = int(stat[stat.rindex(")") + 2 :].split()[1])
    below, found = {worker.pid}, []
    for _ in range(8):
        more = {pid for pid, parent in parents.items() if parent in below} - below
        found += [str(pid) for pid in more]
        below |= more
    return found


def is_alive(pid: str) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("fault", ["kill", "stop", "cut"])
async def test_runs_in_every_step_are_taken_over(postgres: Postgres, fault: str) -> None:
    name = postgres.make()
    cable = Cable(postgres.port)
    await cable.start()
    url = postgres.url(name)
    async with fleet(url, **SETTINGS) as made, made.rig.client() as client:
        victim = await made.add(GITWARD_DATABASE_URL=postgres.url(name, port=cable.port))
        scene = Scene(made, client, url)
        await begin(scene)
        await made.add()
        children = children_of(victim)
        assert len(children) > 2 + 3 * 3, "launcher, brokers' parent, and of three runs the brokers and sandboxes"
        hit = datetime.now().astimezone()
        if fault == "cut":
            cable.cut()
        else:
            victim.send(signal.SIGKILL if fault == "kill" else signal.SIGSTOP)
        await scene.unlock()
        taken = await asyncio.gather(
            *(scene.until(held, lambda event: event["type"] == "run.taken_over") for held in scene.held)
        )
        left = [pid for pid in children if is_alive(pid) and not is_launcher_or_parent(pid, fault)]
        assert left == [], "nothing of the old attempts runs when the new ones begin"
        for held in scene.held:
            held.release()
        limit = (0.0 if fault == "kill" else LEASE_SECONDS) + (MARGIN_SECONDS + BUSY_SECONDS) * slowness()
        for held, event in zip(scene.held, taken, strict=True):
            assert (moment(event) - hit).total_seconds() < limit, held.step
        await asyncio.gather(*(assert_truth(scene, held) for held in scene.held))
        if fault != "kill":
            await assert_comes_back(scene, victim, cable, fault)
        assert await victim.stop() in (0, -signal.SIGKILL)
    await cable.stop()
    postgres.drop(name)


def is_launcher_or_parent(pid: str, fault: str) -> bool:
    """The parent of the brokers stays with a worker that lives on, but no broker does; so may a new launcher."""
    if fault == "kill" or Path(f"/proc/{pid}/comm").read_text().strip() == BROKER_NAME:
        return False
    return b"gitward." in Path(f"/proc/{pid}/cmdline").read_bytes()


async def assert_comes_back(scene: Scene, victim: WorkerProcess, cable: Cable, fault: str) -> None:
    """The loser notices, changes nothing that others did, and takes new runs under a new name."""
    before = await scene.workers()
    cable.mend()
    victim.send(signal.SIGCONT)
    async with asyncio.timeout(300):
        while len(await scene.workers() - before) < 1:
            await asyncio.sleep(0.05)
    for held in scene.held:
        session = await scene.client.get(f"/sessions/{held.session['id']}")
        assert session["state"] == "succeeded"
        page = await scene.client.get(f"/sessions/{held.session['id']}/events")
        assert page["items"][-1] == held.events[-1]
        assert len(held.repository.pulls) == 1
    assert "Back at work as" in victim.log.read_text()
