"""API and worker are processes of their own, on Postgres: cancel, recovery, and a restart of the database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest_asyncio

from fleet import Fleet, fleet
from gitward.runs.storage.workspace_names import workspace_of
from machine import slowness
from postgres import Postgres
from processes import processes_of, until_output
from rig import RUN_SECONDS, output

CANCEL_SECONDS = 3.0  # two for the processes, and one for the look when no notification arrives


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def apart(postgres: Postgres) -> AsyncIterator[Fleet]:
    name = postgres.make()
    async with fleet(postgres.url(name), workers=1, warm=True) as made:
        yield made
    postgres.drop(name)


async def test_a_cancel_reaches_the_worker_and_its_work_is_served_by_the_api(apart: Fleet) -> None:
    [worker] = apart.workers
    async with apart.rig.client() as client:
        repository = await apart.rig.repository()
        command = "echo precious > work.txt; trap '' TERM; echo started; sleep 300"
        session = await client.session(repository, command=command)
        await until_output(client, session)
        began = time.monotonic()
        await client.post(f"/sessions/{session['id']}/cancel", status=200)
        async with asyncio.timeout(RUN_SECONDS):
            while any("sleep 300" in command for command in processes_of(worker.root)):
                await asyncio.sleep(0.02)
        assert time.monotonic() - began < CANCEL_SECONDS * slowness()
        run, _ = await client.finished(session)
        assert run["state"] == "cancelled"
        assert "+precious" in (await client.http.get(f"/sessions/{session['id']}/patch")).text
        assert (await client.http.get(f"/sessions/{session['id']}/bundle")).content.startswith(b"# v2 git bundle\n")


async def test_a_restart_of_the_database_in_the_middle_of_a_command_loses_nothing(
    apart: Fleet, postgres: Postgres
) -> None:
    """Shorter than the lease: the command goes on, and its output comes when the database is back."""
    [worker] = apart.workers
    async with apart.rig.client() as client:
        repository = await apart.rig.repository()
        waits = "while [ ! -e /workspace/go ]; do sleep 0.05; done"
        command = f"echo started; {waits}; seq 1 5000; echo change > change.txt"
        session = await client.session(repository, command=command)
        await until_output(client, session)
        postgres.stop()
        (workspace_of(worker.data / "workspaces", session["id"]) / "work" / "go").touch()
        async with asyncio.timeout(RUN_SECONDS):
            while "cannot be written yet" not in worker.log.read_text():
                await asyncio.sleep(0.02)
        await asyncio.to_thread(postgres.start)
        run, events = await client.finished(session)
        assert (run["state"], run["attempt"]) == ("succeeded", 1), run
        assert output(events) == "started\n" + "".join(f"{number}\n" for number in range(1, 5001))
        assert [event["seq"] for event in events] == sorted({event["seq"] for event in events})
