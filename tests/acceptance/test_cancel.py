"""A cancel ends a run in whatever step it is, with every process of it, and what was done by then is told."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from command_line import gitward
from gitward_standin import Repository
from machine import slowness
from processes import processes_of, until_output
from rig import RUN_SECONDS, Client, Json, Rig

# Where the stand-in holds a run in each step: method and path, with the repository's name for {}.
GATES = {
    "preflight": ("GET", "*/repos/{}"),
    "authenticate": ("GET", "/api/v3/"),
    "checkout": ("POST", "/{}.git/git-upload-pack"),
    "publish": ("POST", "/{}.git/git-receive-pack"),
    "pull_request": ("POST", "*/repos/{}/pulls"),
}
ENDING_SECONDS = 2.0  # from the wish until no process is left
COMMAND = "echo precious > work.txt"


@asynccontextmanager
async def held_in(there: Rig, client: Client, repository: Repository, step: str) -> AsyncIterator[Json]:
    """A session whose run stands in the step, until the block is left."""
    method, path = GATES[step]
    gate = there.github.gate(method=method, path=path.format(repository.full_name))
    try:
        session = await client.session(repository, command=COMMAND)
        async with asyncio.timeout(RUN_SECONDS):
            await gate.reached.wait()
            await begun(client, session, step)
        yield session
    finally:
        gate.open()


async def begun(client: Client, session: Json, step: str) -> None:
    """Waits for the step: a fetch begins before the step `checkout` does."""
    async for event in client.stream(session):
        if event["type"] == "step.started" and event["data"]["step"] == step:
            return


async def ended(there: Rig, client: Client, session: Json) -> tuple[Json, list[Json], float]:
    """The run at its end, its events, and the seconds until no process of it was left.

    A mirror that is being fetched is the worker's, and goes on.
    """
    began = time.monotonic()
    async with asyncio.timeout(RUN_SECONDS):
        while processes_of(there.root, but="making"):
            await asyncio.sleep(0.02)
    seconds = time.monotonic() - began
    run, events = await client.finished(session)
    return run, events, seconds


async def cancelled_while_applied(
    there: Rig, client: Client, repository: Repository, path: str
) -> tuple[Json, Json, list[Json]]:
    """Session, run and events: GitHub did what was asked at this path, its answer is lost, and the owner cancels."""
    there.github.fault(method="POST", path=path, status=0, applied=True)
    gate = there.github.gate(method="POST", path=path, applied=True)
    session = await client.session(repository, command=COMMAND)
    async with asyncio.timeout(300):
        await gate.reached.wait()
    await client.post(f"/sessions/{session['id']}/cancel", status=200)
    run, events, _ = await ended(there, client, session)
    gate.open()
    return session, run, events


def pushed_already(run: Json) -> str:
    return f"Cancelled. The branch was pushed already, and stays at {run['head_sha'][:12]}."


@pytest.mark.parametrize("step", GATES)
async def test_in_any_step(there: Rig, client: Client, step: str) -> None:
    repository = await there.repository()
    async with held_in(there, client, repository, step) as session:
        answer = await client.post(f"/sessions/{session['id']}/cancel", status=200)
        assert answer["state"] == "cancelling"
        run, events, seconds = await ended(there, client, session)
    assert seconds < ENDING_SECONDS * slowness()
    assert (run["state"], run["reason"]) == ("cancelled", None)
    states = {each["name"]: (each["state"], each["seconds"] is not None) for each in run["steps"]}
    assert states.pop(step) == ("cancelled", True)
    assert set(states.values()) == {("succeeded", True)}
    assert [event["type"] for event in events].count("run.ended") == 1
    branches = set(await repository.branches()) - {"main"}
    assert branches == ({session["branch"]} if step == "pull_request" else set())
    assert repository.pulls == []
    if step == "pull_request":
        assert run["message"] == pushed_already(run)
    if step in {"publish", "pull_request"}:
        assert "+precious" in (await client.http.get(f"/sessions/{session['id']}/patch")).text


async def test_the_wish_may_come_from_another_process(there: Rig, client: Client) -> None:
    """Which tells nobody: the worker looks for itself, and finds it within its second."""
    repository = await there.repository()
    session = await client.session(repository, command="echo started; sleep 300")
    await until_output(client, session)
    with closing(sqlite3.connect(there.data / "gitward.db", timeout=30)) as elsewhere, elsewhere:
        elsewhere.execute("UPDATE runs SET state = 'cancelling' WHERE id = ?", (session["runs"][0]["id"],))
    run, _, seconds = await ended(there, client, session)
    assert run["state"] == "cancelled"
    assert seconds < ENDING_SECONDS * slowness()


async def test_an_operator_on_the_machine_stops_an_owner(there: Rig, client: Client, tmp_path: Path) -> None:
    repository = await there.repository()
    body = {"repo": repository.full_name, "schedule": "0 6 * * MON", "command": "true"}
    async with there.client("mallory") as mallory:
        running = await mallory.session(repository, command="echo started; sleep 300")
        follow_up = await mallory.post(f"/sessions/{running['id']}/runs", {"command": "true"})
        schedule = await mallory.post("/schedules", body)
        other = await client.session(repository, command="echo started; sleep 300")
        for owner, session in ((mallory, running), (client, other)):
            await until_output(owner, session)
        told = await gitward("stop-owner", "mallory", cwd=tmp_path, GITWARD_DATA_DIR=str(there.data))
        assert told[0] == 0, told
        assert "mallory at gitward: sessions cancelled: 1; schedules paused: 1\n" in told[1]
        for run in (running["runs"][0], follow_up):
            assert (await mallory.finished(running, run["id"]))[0]["state"] == "cancelled"
        now = await mallory.get(f"/schedules/{schedule['id']}")
        assert (now["paused"], now["skipped_because"]) == (True, "An operator paused it.")
        again = await gitward("stop-owner", "mallory", cwd=tmp_path, GITWARD_DATA_DIR=str(there.data))
        assert "sessions cancelled: 0; schedules paused: 0" in again[1]
    assert (await client.get(f"/sessions/{other['id']}"))["state"] == "running"
    await client.post(f"/sessions/{other['id']}/cancel", status=200)
    _, out, _ = await gitward("audit-log", "export", cwd=tmp_path, GITWARD_DATA_DIR=str(there.data))
    lines = [json.loads(line) for line in out.splitlines()]
    stopped = [line["detail"] for line in lines if line["detail"].get("what") == "stopped an owner"]
    assert stopped == 2 * [{"what": "stopped an owner", "owner_issuer": "gitward", "owner_subject": "mallory"}]
    by = [line["act"] for line in lines if line["detail"].get("by") == "an operator, on the machine"]
    assert sorted(by) == ["schedule.paused", "session.cancelled"]


async def test_of_several_issuers_the_owner_s_must_be_named(tmp_path: Path) -> None:
    issuers = {"GITWARD_OIDC_ISSUERS": "https://a.example, https://b.example", "GITWARD_REPOS": "acme/*"}
    issuers["GITWARD_DATA_DIR"] = str(tmp_path / "d")
    code, _, err = await gitward("stop-owner", "alice", cwd=tmp_path, **issuers)
    assert (code, "by --issuer: https://a.example, https://b.example" in err) == (2, True), err
    for named, code, said in (
        ("https://b.example/", 2, "by --issuer: https://a.example"),
        ("https://b.example", 2, "there is no database at"),
    ):
        told = await gitward("stop-owner", "alice", "--issuer", named, cwd=tmp_path, **issuers)
        assert (told[0], said in told[2]) == (code, True), told
    assert not (tmp_path / "d").exists()
    assert (await gitward("migrate", cwd=tmp_path, **issuers))[0] == 0
    told = await gitward("stop-owner", "alice", "--issuer", "https://b.example", cwd=tmp_path, **issuers)
    assert told[0] == 1
    assert "alice at https://b.example has no session and no schedule here" in told[2]


async def test_a_push_that_arrived_stands_and_is_told(there: Rig, client: Client) -> None:
    repository = await there.repository()
    path = f"/{repository.full_name}.git/git-receive-pack"
    session, run, events = await cancelled_while_applied(there, client, repository, path)
    assert (run["state"], run["changed"]) == ("cancelled", True), run
    assert await repository.head(session["branch"]) == run["head_sha"]
    assert run["message"] == pushed_already(run)
    [pushed] = [event["data"] for event in events if event["type"] == "branch.pushed"]
    assert pushed == {"branch": session["branch"], "head_sha": run["head_sha"]}
    assert repository.pulls == []


async def test_a_push_whose_answer_was_lost_is_found_done(there: Rig, client: Client) -> None:
    repository = await there.repository()
    path = f"/{repository.full_name}.git/git-receive-pack"
    there.github.fault(method="POST", path=path, status=0, applied=True)
    session, run, events = await client.run(repository, COMMAND)
    assert run["state"] == "succeeded", run
    assert await repository.head(session["branch"]) == run["head_sha"]
    assert [event["type"] for event in events].count("branch.pushed") == 1


async def test_a_pull_request_that_was_opened_is_told(there: Rig, client: Client) -> None:
    repository = await there.repository()
    path = f"*/repos/{repository.full_name}/pulls"
    _, run, _ = await cancelled_while_applied(there, client, repository, path)
    [pull] = repository.pulls
    assert (run["state"], run["pull_request"]["number"]) == ("cancelled", pull.number)


async def test_twice_and_after_the_end(there: Rig, client: Client) -> None:
    repository = await there.repository()
    async with held_in(there, client, repository, "publish") as session:
        address = f"/sessions/{session['id']}/cancel"
        first, second = await asyncio.gather(*(client.post(address, status=200) for _ in range(2)))
        assert {first["state"], second["state"]} <= {"cancelling", "cancelled"}
        run, events, _ = await ended(there, client, session)
    assert run["state"] == "cancelled"
    assert [event["type"] for event in events].count("run.cancelling") == 1
    again = await client.post(address, status=200)
    assert (again["state"], again["runs"][0]["ended_at"]) == ("cancelled", run["ended_at"])


async def test_a_run_that_waits_never_starts(there: Rig, client: Client) -> None:
    repository = await there.repository()
    async with held_in(there, client, repository, "checkout") as session:
        later = await client.post(f"/sessions/{session['id']}/runs", {"command": COMMAND})
        await client.post(f"/sessions/{session['id']}/cancel", status=200)
        run, events = await client.finished(session, later["id"])
        assert (run["state"], run["started_at"], run["attempt"]) == ("cancelled", None, 0)
        assert run["message"] == "Cancelled before it began."
        assert [event["type"] for event in events] == ["run.queued", "run.ended"]
        await ended(there, client, session)
