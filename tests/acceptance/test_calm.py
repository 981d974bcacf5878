"""What a test leaves of its plans and runs at the shared service does not reach the next one."""

from __future__ import annotations

import asyncio
import signal

from gitward_standin import Outage
from rig import Client, Rig


async def test_outage_gates_faults_and_runs_end(there: Rig, client: Client) -> None:
    held, running, waiting = [await there.repository() for _ in range(3)]
    gate = there.github.gate(method="POST", path=f"/{held.full_name}.git/git-receive-pack")
    sessions = [
        await client.session(held, command="echo x > x"),
        await client.session(running, command="while sleep 0.1; do echo talk; done"),
    ]
    async with asyncio.timeout(300):
        await gate.reached.wait()
    there.github.fault(path="*", status=503, times=10_000)
    await there.github.go_down(Outage.REFUSED)
    sessions.append(await client.session(waiting, command="echo x > x"))
    await there.calm()
    states = [(await client.get(f"/sessions/{session['id']}"))["state"] for session in sessions]
    assert set(states) <= {"cancelled", "succeeded", "failed"}
    assert states[1:] == ["cancelled", "cancelled"]
    _, run, _ = await client.run(await there.repository(), "echo x > x")
    assert run["state"] == "succeeded", run


async def test_a_service_that_was_ended_is_started_again(there: Rig) -> None:
    await there.stop(signal.SIGKILL)
    await there.calm()
    async with there.client() as client:
        _, run, _ = await client.run(await there.repository(), "echo x > x")
    assert run["state"] == "succeeded", run
