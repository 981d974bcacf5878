"""Disks that are full, databases that are locked, processes that are killed: a clear reason, and the service lives."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gitward.runs.storage.workspace_names import workspace_of
from processes import brokers_of, children_of, processes_of, until_output
from rig import Client, Json, Rig, output, rig
from small_disks import fill, seen_by


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def there() -> AsyncIterator[Rig]:
    """One whose launcher and brokers are its own."""
    async with rig() as made:
        yield made


async def posted(client: Client, repository: str) -> int:
    """The status of an answer to a new session."""
    return (await client.http.post("/sessions", json={"repo": repository})).status_code


async def go_on(service: Rig, session: Json) -> None:
    """Lets a command end that waits for this file."""
    assert service.process is not None
    work = workspace_of(service.data / "workspaces", session["id"]) / "work"
    (seen_by(service.process.pid, work) / "go").touch()


WAITS = "while [ ! -e /workspace/go ]; do sleep 0.1; done"


async def test_a_full_disk_of_the_database_loses_no_run() -> None:
    """Output, the end of a step and the end of the run all wait for room; new sessions are refused meanwhile."""
    database = "sqlite:///{root}/database/gitward.db"
    async with rig(disks={"database": 8}, GITWARD_DATABASE_URL=database) as service, service.client() as client:
        repository = await service.repository()
        command = f"echo started; {WAITS}; seq 1 20000; echo change > change.txt"
        session = await client.session(repository, command=command)
        await until_output(client, session)
        assert service.process is not None
        filler = await asyncio.to_thread(fill, seen_by(service.process.pid, service.root / "database"))
        async with asyncio.timeout(30):
            while "The disk of the database is full" not in service.log.read_text():
                await asyncio.sleep(0.1)
        answer = await client.http.post("/sessions", json={"repo": repository.full_name})
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), answer.text
        await go_on(service, session)
        async with asyncio.timeout(300):
            while "cannot be written yet" not in service.log.read_text():
                await asyncio.sleep(0.1)
        filler.unlink()
        run, events = await client.finished(session)
        assert run["state"] == "succeeded", run
        assert output(events) == "started\n" + "".join(f"{n}\n" for n in range(1, 20001))
        assert await posted(client, repository.full_name) == 201


async def patch_of(client: Client, session: Json) -> str:
    answer = await client.http.get(f"/sessions/{session['id']}/patch")
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_a_sandbox_that_fills_its_disk_ends_alone() -> None:
    """The others go on; what it had written is kept, but for the files that are too long for that."""
    async with rig(GITWARD_DISK="64") as service, service.client() as client:
        repository = await service.repository()
        other = await client.session(repository, command=f"echo started; {WAITS}; echo change > change.txt")
        await until_output(client, other)
        command = (
            "echo precious > work.txt; echo beside > ../beside; head -c 300M /dev/urandom > 'a big file'; sleep 60"
        )
        session, run, events = await client.run(await service.repository(), command)
        assert (run["state"], run["reason"]) == ("failed", "sandbox_failed"), run
        assert run["message"] == "The command reached the sandbox's limit of disk; it is set by GITWARD_DISK."
        patch = await patch_of(client, session)
        assert "+precious" in patch
        assert "a big file" not in patch
        told = [event["data"]["message"] for event in events if event["type"] == "notice"]
        full = "The disk was full: 1 new files of more than 10 MiB are not kept."
        assert told == [full]
        await go_on(service, other)
        run, _ = await client.finished(other)
        assert run["state"] == "succeeded", run


async def test_a_full_disk_of_the_workspaces_is_told() -> None:
    async with rig(disks={"data/workspaces": 24}) as service, service.client() as client:
        repository = await service.repository()
        command = "echo precious > work.txt; cat /dev/zero > big; exit 7"
        session, run, _ = await client.run(repository, command)
        assert (run["reason"], run["exit_code"]) == ("task_failed", 7), run
        assert "The disk of the workspaces was full; make room on it, or lower GITWARD_DISK." in run["message"]
        assert "+precious" in await patch_of(client, session)
        run, _ = await client.finished(
            session, (await client.post(f"/sessions/{session['id']}/runs", {"command": "echo x > x"}))["id"]
        )
        assert run["state"] == "succeeded", run


@pytest.mark.parametrize("killed", ["launcher", "supervisor"])
async def test_a_sandbox_whose_keeper_is_killed_fails_with_its_reason(there: Rig, client: Client, killed: str) -> None:
    repository = await there.repository()
    session = await client.session(repository, command="echo precious > work.txt; echo started; sleep 300")
    await until_output(client, session)
    assert there.process is not None
    [launcher] = children_of(there.process.pid, "gitward.sandboxes.launcher")
    doomed = [launcher] if killed == "launcher" else children_of(launcher, "gitward.sandboxes.launcher")
    for pid in doomed:
        os.kill(pid, signal.SIGKILL)
    run, _ = await client.finished(session)
    assert (run["state"], run["reason"]) == ("failed", "sandbox_failed"), run
    assert "+precious" in await patch_of(client, session)
    assert processes_of(there.root) == []
    _, run, _ = await client.run(repository, "echo x > x")
    assert run["state"] == "succeeded", run


async def replaced_broker(service: Rig) -> None:
    """kill -9 of each broker, and a new one is there."""
    assert service.process is not None
    before = brokers_of(service.process.pid)
    assert before
    for broker in before:
        os.kill(broker, signal.SIGKILL)
    async with asyncio.timeout(300):
        while set(brokers_of(service.process.pid)) <= set(before):
            await asyncio.sleep(0.05)


async def test_a_broker_that_is_killed_is_replaced_while_a_command_runs(there: Rig, client: Client) -> None:
    repository = await there.repository()
    session = await client.session(repository, command=f"echo started; {WAITS}; gh auth status && echo x > x")
    await until_output(client, session)
    await replaced_broker(there)
    await go_on(there, session)
    run, _ = await client.finished(session)
    assert run["state"] == "succeeded", run


@pytest.mark.parametrize("service_path", ["git-upload-pack", "git-receive-pack"])
async def test_a_broker_that_is_killed_breaks_no_clone_and_no_push(
    there: Rig, client: Client, service_path: str
) -> None:
    repository = await there.repository()
    gate = there.github.gate(method="POST", path=f"/{repository.full_name}.git/{service_path}")
    session = await client.session(repository, command="echo x > x")
    async with asyncio.timeout(300):
        await gate.reached.wait()
    await replaced_broker(there)
    gate.open()
    run, _ = await client.finished(session)
    assert (run["state"], run["attempt"]) == ("succeeded", 1), run
    assert await repository.head(session["branch"]) == run["head_sha"]
    assert len(repository.pulls) == 1
