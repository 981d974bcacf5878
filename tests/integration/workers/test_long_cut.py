"""A worker that is cut off for long, while a run has output that it cannot store, comes back by itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cable import Cable
from fleet import fleet
from gitward.workers.shift import END_SECONDS
from postgres import Postgres

LEASE_SECONDS = 4
SETTINGS: dict[str, Any] = {"GITWARD_LEASE_SECONDS": str(LEASE_SECONDS)}
TALK = "while sleep 0.02; do echo talk; done"


def is_talk(event: dict[str, Any]) -> bool:
    return event["type"] == "output" and "talk" in event["data"]["text"]


@pytest.mark.timeout(300)  # it waits for longer than jobs may take to end
async def test_it_comes_back_and_takes_the_run_again(postgres: Postgres) -> None:
    name = postgres.make()
    cable = Cable(postgres.port)
    await cable.start()
    async with fleet(postgres.url(name), **SETTINGS) as made, made.rig.client() as client:
        worker = await made.add(GITWARD_DATABASE_URL=postgres.url(name, port=cable.port))
        session = await client.session(await made.rig.repository(), command=TALK)
        async for event in client.stream(session):
            if is_talk(event):
                break
        cable.cut()
        await asyncio.sleep(LEASE_SECONDS + END_SECONDS + 10)
        assert worker.process is not None
        assert worker.process.returncode is None, worker.log.read_text()[-3000:]
        cable.mend()
        taken_over = False
        async for event in client.stream(session):
            taken_over = taken_over or event["type"] == "run.taken_over"
            if taken_over and is_talk(event):
                break
    await cable.stop()
    postgres.drop(name)
