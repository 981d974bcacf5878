"""The service ends, is killed, starts again: no run is lost, no process is left."""

from __future__ import annotations

import math
import signal

from gitward.audit import folders
from gitward.audit.channels import Channel
from gitward.audit.ledger import Ledger
from gitward.audit.needles import Plant
from gitward.secrets import Secret
from machine import slowness
from processes import processes_of, until_output
from rig import Client, Rig, output, rig


def token_is_in_data_of(service: Rig) -> bool:
    ledger = Ledger(Secret(service.token), Plant())
    folders.search_folder(ledger, Channel.DATA_FOLDER, service.data)
    return bool(ledger.findings(Channel.DATA_FOLDER).hits)


async def test_cancel_ends_every_process_and_keeps_the_work(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    command = "echo precious > work.txt; (setsid sleep 300 &) ; trap '' TERM; echo started; sleep 300"
    session = await alice_client.session(repository, command=command)
    await until_output(alice_client, session)
    answer = await alice_client.post(f"/sessions/{session['id']}/cancel", status=200)
    assert answer["state"] == "cancelling"
    run, _ = await alice_client.finished(session)
    assert (run["state"], run["reason"]) == ("cancelled", None)
    assert processes_of(service.root) == []
    states = {step["name"]: step["state"] for step in run["steps"]}
    assert states["execute"] == "cancelled"
    assert "+precious" in (await alice_client.http.get(f"/sessions/{session['id']}/patch")).text
    again = await alice_client.post(f"/sessions/{session['id']}/cancel", status=200)
    assert again["state"] == "cancelled"


async def test_a_run_that_takes_too_long_ends_and_keeps_the_work(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    daemon = "(setsid sh -c \"trap '' TERM HUP; (sleep 300 &) ; exec sleep 300\" &)"
    command = f"echo precious > work.txt; {daemon}; trap '' TERM; while :; do sleep 1; done"
    seconds = math.ceil(4 * slowness())
    session, run, _ = await alice_client.run(repository, command, timeout_seconds=seconds)
    assert (run["state"], run["reason"]) == ("failed", "timed_out"), run
    assert run["message"] == f"The run took longer than its time limit of {seconds} s."
    [executed] = [step for step in run["steps"] if step["name"] == "execute"]
    assert executed["state"] == "failed"
    assert 1 < executed["seconds"] < seconds + 16 * slowness()
    assert "+precious" in (await alice_client.http.get(f"/sessions/{session['id']}/patch")).text
    assert processes_of(service.root) == []


async def test_a_killed_service_takes_its_run_up_again() -> None:
    """kill -9 in the middle of the command; after the restart the command runs again and the run ends truthfully."""
    async with rig() as service:
        async with service.client() as client:
            repository = await service.repository()
            command = (
                "echo started; test -e /workspace/cache/seen || { touch /workspace/cache/seen; sleep 300; }; echo x > x"
            )
            session = await client.session(repository, command=command)
            await until_output(client, session)
        await service.stop(signal.SIGKILL)
        await service.start()
        async with service.client() as client:
            run, events = await client.finished(session)
            assert run["state"] == "succeeded", run
            assert run["attempt"] == 2
            assert [e["type"] for e in events].count("run.taken_over") == 1
            assert [e["type"] for e in events].count("run.ended") == 1
            assert output(events) == "started\nstarted\n"
            assert [e["seq"] for e in events] == sorted({e["seq"] for e in events})
            assert len(repository.pulls) == 1
            assert processes_of(service.root) == []


async def test_sigterm_ends_streams_and_sandboxes_and_the_run_goes_on_after_the_restart() -> None:
    async with rig(GITWARD_GRACE_SECONDS="0") as service:
        async with service.client() as client:
            repository = await service.repository()
            command = "echo started; test -e /workspace/cache/seen || { touch /workspace/cache/seen; sleep 300; }"
            session = await client.session(repository, command=command)
            await until_output(client, session)
            assert await service.stop() == 0
        assert processes_of(service.root) == []
        await service.start()
        async with service.client() as client:
            run, _ = await client.finished(session)
            assert (run["state"], run["changed"]) == ("succeeded", False)


async def test_follow_ups_wait_for_their_turn(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    session = await alice_client.session(repository, command="sleep 1; echo 1 >> log.txt")
    url = f"/sessions/{session['id']}/runs"
    second = await alice_client.post(url, {"command": "echo 2 >> log.txt"})
    third = await alice_client.post(url, {"command": "echo 3 >> log.txt; cat log.txt"})
    assert third["queued_because"] == "An earlier run of this session has not ended yet."
    run, events = await alice_client.finished(session, third["id"])
    assert run["state"] == "succeeded"
    assert output(events) == "1\n2\n3\n"
    ended = await alice_client.get(f"{url}/{second['id']}")
    assert ended["ended_at"] <= run["started_at"]


async def test_login_mode_wipes_at_the_next_start_what_a_crash_left() -> None:
    async with rig(GITWARD_CREDENTIALS="login") as service:
        async with service.client() as client:
            repository = await service.repository()
            session = await client.session(repository, command="echo started; sleep 300")
            await until_output(client, session)
            assert token_is_in_data_of(service), "gh keeps it in clear while the run is open"
            await service.stop(signal.SIGKILL)
        await service.start()
        assert not token_is_in_data_of(service)
        async with service.client() as client:
            await client.post(f"/sessions/{session['id']}/cancel", status=200)
            run, _ = await client.finished(session)
            assert run["state"] == "cancelled"
        assert not token_is_in_data_of(service)
