"""A conversation goes on at another worker, which has a data folder of its own: only the database goes between them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator

import psycopg
import pytest_asyncio

from agent_rig import agents_file
from fleet import Fleet, fleet
from postgres import Postgres
from rig import RUN_SECONDS, Json, data_of

AGENT = "remembering"


@pytest_asyncio.fixture
async def machines(postgres: Postgres) -> AsyncIterator[Fleet]:
    name = postgres.make()
    with agents_file() as path:
        async with fleet(
            postgres.url(name), workers=1, warm=True, GITWARD_AGENTS_FILE=str(path), GITWARD_AGENT_KEEP_SECONDS="1"
        ) as made:
            yield made
    postgres.drop(name)


def kinds(machines: Fleet, run: Json) -> set[str]:
    """What the database has of a run, shown to anybody or not."""
    with psycopg.connect(machines.rig.environment["GITWARD_DATABASE_URL"]) as connection:
        rows = connection.execute("SELECT DISTINCT kind FROM artifacts WHERE run_id = %s", (run["id"],)).fetchall()
    return {kind for (kind,) in rows}


async def test_it_goes_on_elsewhere_and_after_the_death_of_a_machine(machines: Fleet) -> None:
    prompt = """
if "interrupted" not in note:
    edit("so-far.txt", "precious")
    say("ready ")
    time.sleep(1000)
say(json.dumps([os.listdir("."), remembered(), note]))
"""
    [first] = machines.workers
    async with machines.rig.client() as client:
        session, run, _ = await client.run(await machines.rig.repository(), prompt="say('Hello.')", agent=AGENT)
        assert run["state"] == "succeeded", run
        await first.stop()
        second = await machines.add()
        more = await client.post(f"/sessions/{session['id']}/runs", {"prompt": prompt, "agent": AGENT})
        async with asyncio.timeout(RUN_SECONDS):
            async for event in client.stream(session, more["id"]):
                if event["type"] == "agent.message":
                    break
            while not {"live_bundle", "live_head", "conversation"} <= await asyncio.to_thread(kinds, machines, more):
                await asyncio.sleep(0.1)
        assert (await client.http.get(f"/sessions/{session['id']}/diff")).status_code == 404
        await second.stop(signal.SIGKILL)
        await machines.add()
        run, events = await client.finished(session, more["id"])
        assert (run["state"], run["attempt"], run["changed"]) == ("succeeded", 2, True), run
        assert [each["resumed"] for each in data_of(events, "agent.started")] == [True, True]
        said = data_of(events, "agent.ended")[-1]["text"]
        assert "so-far.txt" in said.split("]")[0]
        assert "say('Hello.')" in said
        assert "were restored" in said
        [kept] = data_of(events, "work.kept")
        assert kept["attempt"] == 1
        assert "+precious" in (await client.http.get(kept["artifacts"]["diff"])).text
