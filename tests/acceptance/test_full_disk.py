"""A command fills the disk on which database and workspaces lie, as they do by default. The service lives."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from agent_rig import agent_rig
from gitward.runs.storage.workspace_names import workspace_of
from postgres import running_postgres
from processes import until_output
from rig import Client, Json, Rig, output, rig
from small_disks import fill, fill_files, remount

DISK = {"data": 96}  # MiB
FILL = "echo precious > work.txt; seq 1 2000; cat /dev/zero > big"
WAITS = "echo started; while [ ! -e /workspace/go ]; do sleep 0.1; done"
TOLD = "The disk of the workspaces was full; make room on it, or lower GITWARD_DISK."


@contextlib.asynccontextmanager
async def small(**settings: str) -> AsyncIterator[tuple[Rig, Client]]:
    async with rig(None, DISK, **settings) as service, service.client() as client:
        yield service, client


def data_of(service: Rig) -> Path:
    """The data folder, as the service sees it."""
    return service.seen(service.data)


async def patch_of(client: Client, session: Json) -> str:
    answer = await client.http.get(f"/sessions/{session['id']}/patch")
    assert answer.status_code == 200, answer.text
    return answer.text


async def faults(client: Client) -> dict[str, str]:
    """What `/ready` says of all that does not work."""
    answer = await client.http.get("/ready")
    checks = answer.json()["checks"]
    found = {each["name"]: each["detail"] for each in checks if not each["ok"]}
    assert (answer.status_code, answer.json()["ready"]) == ((503, False) if found else (200, True))
    return found


async def until_faults(client: Client, *names: str) -> dict[str, str]:
    """Waits until these checks fail, and no others; none: until all is well."""
    async with asyncio.timeout(30):
        while set(found := await faults(client)) != set(names):
            await asyncio.sleep(0.2)
    return found


async def until_full(folder: Path) -> None:
    """At once: after two seconds more the service makes room, which a busy `/ready` may never have told."""
    async with asyncio.timeout(30):
        while (now := os.statvfs(folder)).f_bavail * now.f_frsize > 1024 * 1024:
            await asyncio.sleep(0.02)


async def test_a_run_whose_command_fills_the_disk_ends_with_its_reason_and_its_work_is_kept() -> None:
    async with small() as (service, client):
        repository = await service.repository()
        session, run, events = await client.run(repository, f"{FILL}; seq 1 20000; exit 7")
        assert (run["state"], run["reason"], run["exit_code"]) == ("failed", "task_failed", 7), run
        assert TOLD in run["message"]
        assert "+precious" in await patch_of(client, session)
        assert output(events).endswith("19999\n20000\n")
        await until_faults(client)  # its files go when it has ended
        _, run, _ = await client.run(repository, "echo x > x")
        assert run["state"] == "succeeded", run


async def test_a_command_that_fills_the_disk_and_stays_is_ended_and_costs_no_other_run_its_work() -> None:
    async with small() as (service, client):
        repository = await service.repository()
        other = await client.session(repository, command=f"{WAITS}; echo change > change.txt")
        await until_output(client, other)
        session, run, _ = await client.run(await service.repository(), f"{FILL}; sleep 300")
        assert (run["state"], run["reason"]) == ("failed", "sandbox_failed"), run
        assert "The command was ended to make room: its files took" in run["message"]
        assert "+precious" in await patch_of(client, session)
        (workspace_of(data_of(service) / "workspaces", other["id"]) / "work" / "go").touch()
        run, _ = await client.finished(other)
        assert (run["state"], run["changed"]) == ("succeeded", True), run


# A process that ended and that nobody asks for: it has no mounts, and no list of open files.
ENDED = "child = os.fork() or os._exit(0); os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)"
ZOMBIE = f"read -r < <(python3 -c 'import os, time; {ENDED}; print(1, flush=True); time.sleep(300)')"
HOGS = {
    "a setup": {"setup": "cat /dev/zero > big || sleep 300", "command": "true"},
    "a file without a name": {"command": f"{ZOMBIE}; exec 3> big; rm big; cat /dev/zero >&3; sleep 300"},
}


@pytest.mark.parametrize("hog", HOGS)
async def test_whoever_takes_the_disk_is_ended_and_not_who_has_some_files(hog: str) -> None:
    async with small() as (service, client):
        command = f"head -c 20M /dev/zero > ../some; {WAITS}; echo change > change.txt"
        other = await client.session(await service.repository(), command=command)
        await until_output(client, other)
        session = await client.session(await service.repository(), **HOGS[hog])
        run, _ = await client.finished(session)
        assert (run["state"], run["reason"]) == ("failed", "sandbox_failed"), run
        assert f"The {'setup' if hog == 'a setup' else 'command'} was ended to make room" in run["message"]
        await until_faults(client)
        (workspace_of(data_of(service) / "workspaces", other["id"]) / "work" / "go").touch()
        run, _ = await client.finished(other)
        assert (run["state"], run["changed"]) == ("succeeded", True), run


async def test_cancel_is_answered_and_ends_a_run_while_the_disk_is_full() -> None:
    """Nothing on it is anybody's who could be ended: it stays full all the time."""
    async with small() as (service, client):
        session = await client.session(await service.repository(), command="echo started; sleep 300")
        await until_output(client, session)
        await asyncio.to_thread(fill, data_of(service))
        await until_faults(client, "database writes", "disk")
        await client.post(f"/sessions/{session['id']}/cancel", status=200)
        run, events = await client.finished(session)
        assert run["state"] == "cancelled", run
        assert output(events) == "started\n"


async def test_a_post_is_refused_with_a_sentence_while_the_disk_is_full() -> None:
    async with small() as (service, client):
        repository = await service.repository()
        session, _, _ = await client.run(repository, "true")
        filler = await asyncio.to_thread(fill, data_of(service))
        await until_faults(client, "database writes", "disk")
        run = session["runs"][0]["id"]
        calls = {"/sessions": {"repo": repository.full_name}, f"/sessions/{session['id']}/runs": {"command": "true"}}
        for path, body in {**calls, f"/sessions/{session['id']}/runs/{run}/retry": {}}.items():
            answer = await client.http.post(path, json=body)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), answer.text
            assert answer.json()["detail"].startswith("The disk of the database is full")
        filler.unlink()
        await until_faults(client)
        _, again, _ = await client.run(repository, "echo x > x")
        assert again["state"] == "succeeded", again


async def test_readiness_tries_a_write_and_says_what_was_refused() -> None:
    async with small() as (service, client):
        assert await faults(client) == {}
        filler = await asyncio.to_thread(fill, data_of(service))
        found = await until_faults(client, "database writes", "disk")
        assert found["disk"] == "The disk of the work is full."
        assert found["database writes"].startswith("The disk of the database is full")
        filler.unlink()
        await until_faults(client)


async def test_the_end_of_a_run_needs_no_room_that_others_could_take() -> None:
    """What is on the disk stays, and takes every byte that is free."""
    async with small() as (service, client):
        command = f"{WAITS}; seq 1 100000; exit 7"
        session = await client.session(await service.repository(), command=command)
        await until_output(client, session)
        await asyncio.to_thread(fill, data_of(service))
        await until_faults(client, "database writes", "disk")
        work = workspace_of(data_of(service) / "workspaces", session["id"]) / "work"
        (work / "go").symlink_to("nothing")  # a file would need room
        (work / "nothing").touch()
        run, events = await client.finished(session)
        assert (run["reason"], run["exit_code"]) == ("task_failed", 7), run
        assert output(events).endswith("99999\n100000\n")
        told = [event["data"]["message"] for event in events if event["type"] == "notice"]
        assert "The disk of the database was full: a part of the output is not kept." in told


async def test_a_conversation_for_which_there_is_no_room_is_told_and_begins_anew() -> None:
    async with agent_rig(DISK) as service, service.client() as client:
        first = "say('Hello.')"
        session, _, _ = await client.run(await service.repository(), prompt=first, agent="remembering")
        wait = "say('ready ')\nwhile not os.path.lexists('/workspace/go'): time.sleep(0.05)"
        body = {"prompt": wait, "agent": "remembering"}
        more = await client.post(f"/sessions/{session['id']}/runs", body)
        async for event in client.stream(session, more["id"]):
            if event["type"] == "agent.message":
                break
        filler = await asyncio.to_thread(fill, data_of(service))
        await until_faults(client, "database writes", "disk")
        work = workspace_of(data_of(service) / "workspaces", session["id"]) / "work"
        (work / "go").symlink_to("nothing")  # a file would need room
        _, events = await client.finished(session, more["id"])
        told = [event["data"]["message"] for event in events if event["type"] == "notice"]
        assert (
            "The conversation with remembering is not kept: the disk of the database is nearly full. "
            "The next prompt begins a new one." in told
        ), told
        filler.unlink()
        await until_faults(client)
        body = {"prompt": "say(json.dumps([remembered(), note]))", "agent": "remembering"}
        again = await client.post(f"/sessions/{session['id']}/runs", body)
        run, events = await client.finished(session, again["id"])
        assert run["message"].startswith("[[], "), run
        assert "You do not remember" in run["message"]


@pytest.mark.parametrize("reserve", ["0", "32"])
async def test_a_stop_keeps_its_grace_while_the_disk_is_full(reserve: str) -> None:
    """With no reserve, nothing that the job still has to write can be written."""
    async with small(GITWARD_GRACE_SECONDS="1", GITWARD_RESERVE_MB=reserve) as (service, client):
        session = await client.session(await service.repository(), command="yes | head -c 300000; sleep 300")
        await until_output(client, session)
        await asyncio.to_thread(fill, data_of(service))
        await until_faults(client, "database writes", "disk")
        began = asyncio.get_running_loop().time()
        assert await service.stop() == 0
        assert asyncio.get_running_loop().time() - began < 20
        assert "Traceback" not in service.log.read_text()


async def test_a_restart_on_a_full_disk_makes_room_and_takes_the_run_over_with_its_work() -> None:
    async with small() as (service, client):
        command = "echo precious > work.txt; echo filling; cat /dev/zero > big; sleep 300"
        session = await client.session(await service.repository(), command=command)
        await until_output(client, session)
        await until_full(data_of(service))
        await service.stop(signal.SIGKILL)
        await service.start()
        async with service.client() as again:
            run, events = await again.finished(session)
            assert (run["reason"], run["attempt"]) == ("sandbox_failed", 2), run
            kept = [event["data"]["attempt"] for event in events if event["type"] == "work.kept"]
            assert kept == [1, 2]
            await until_faults(again)


async def test_a_restart_on_a_disk_that_nothing_can_be_removed_from_comes_up_and_says_so() -> None:
    async with small() as (service, client):
        session, run, _ = await client.run(await service.repository(), "echo x > x")
        await service.stop()
        filler = await asyncio.to_thread(fill, data_of(service))
        await service.start()
        async with service.client() as again:
            assert (await again.get(f"/sessions/{session['id']}"))["runs"][0]["id"] == run["id"]
            assert set(await faults(again)) == {"database writes", "disk"}
            filler.unlink()
            await until_faults(again)
            assert (await again.run(await service.repository(), "echo x > x"))[1]["state"] == "succeeded"


@pytest.fixture
def postgres_url() -> Iterator[str]:
    with running_postgres() as server:
        yield server.url(server.make())


async def test_with_postgres_elsewhere_the_workspaces_disk_is_looked_after_all_the_same(postgres_url: str) -> None:
    async with small(GITWARD_DATABASE_URL=postgres_url) as (service, client):
        session, run, _ = await client.run(await service.repository(), f"{FILL}; sleep 300")
        assert (run["state"], run["reason"]) == ("failed", "sandbox_failed"), run
        assert "The command was ended to make room: its files took" in run["message"]
        assert "+precious" in await patch_of(client, session)
        filler = await asyncio.to_thread(fill, data_of(service))
        assert await until_faults(client, "disk") == {"disk": "The disk of the work is full."}
        filler.unlink()
        await until_faults(client)


async def test_a_disk_without_inodes_is_full_too() -> None:
    async with rig(None, {"data": "size=96m,nr_inodes=2000"}) as service, service.client() as client:
        repository = await service.repository()
        command = "echo precious > work.txt; mkdir ../many; for n in {1..4000}; do : > ../many/$n || exit 7; done"
        session, run, _ = await client.run(repository, command)
        assert (run["reason"], run["exit_code"]) == ("task_failed", 7), run
        assert TOLD in run["message"]
        assert "+precious" in await patch_of(client, session)
        folder = await asyncio.to_thread(fill_files, data_of(service))
        assert (await until_faults(client, "database writes", "disk"))["disk"] == "The disk of the work is full."
        for file in folder.iterdir():
            file.unlink()
        await until_faults(client)


async def test_a_disk_that_became_read_only_is_told_and_used_again_when_it_can_be() -> None:
    async with rig(None, {"data/workspaces": 96}) as service, service.client() as client:
        assert service.process is not None
        repository, pid = await service.repository(), service.process.pid
        await client.run(repository, "echo x > x")
        await asyncio.to_thread(remount, pid, service.data / "workspaces", "ro")
        assert await until_faults(client, "disk") == {"disk": "The disk of the work is read-only."}
        _, run, _ = await client.run(repository, "echo y > y")
        assert (run["state"], run["reason"]) == ("failed", "sandbox_failed"), run
        assert "Read-only file system" in run["message"]
        await asyncio.to_thread(remount, pid, service.data / "workspaces", "rw")
        await until_faults(client)
        _, run, _ = await client.run(repository, "echo y > y")
        assert run["state"] == "succeeded", run


async def test_a_full_tmp_of_the_machine_harms_nothing() -> None:
    async with rig(None, {"tmp": 4}, TMPDIR="{root}/tmp") as service, service.client() as client:
        await asyncio.to_thread(fill, service.seen(service.root / "tmp"))
        assert await faults(client) == {}
        _, run, _ = await client.run(await service.repository(), "echo x > x")
        assert run["state"] == "succeeded", run
