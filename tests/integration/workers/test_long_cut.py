"""A worker that is cut off for long, while a run has output that it cannot store, comes back by itself."""

from __future__ import annotations

import asyncio
from typing import Any

from cable import Cable
from fleet import fleet
from postgres import Postgres

LEASE_SECONDS = 4
SETTINGS: dict[str, Any] = {"GITWARD_LEASE_SECONDS": str(LEASE_SECONDS)}
TALK = "while sleep 0.02; do echo talk; done"


def is_talk(event: dict[str, Any]) -> bool:
    return event["type"] == "output" and "talk" in event["data"]["text"]


async def test_it_comes_back_and_takes_the_run_again(postgres: Postgres) -> None:
    name = postgres.make()
    cable = Cable(postgres.port)
    await cable.start()
    async with fleet(postgres.url(name), warm=True, **SETTINGS) as made, made.rig.client() as client:
        worker = await made.add(GITWARD_DATABASE_URL=postgres.url(name, port=cable.port))
        session = await client.session(await made.rig.repository(), command=TALK)
        async for event in client.stream(session):
            if is_talk(event):
                break
        cable.cut()
        assert worker.process is not None
        async with asyncio.timeout(300):
            # What it had has ended, in less time than it may take, and it looks whether it can begin again.
            while "The database cannot be used yet" not in worker.log.read_text():
                assert worker.process.returncode is None, worker.log.read_text()[-3000:]
                await asyncio.sleep(0.05)
        cable.mend()
        taken_over = False
        async for event in client.stream(session):
            taken_over = taken_over or event["type"] == "run.taken_over"
            if taken_over and is_talk(event):
                break
    await cable.stop()
    postgres.drop(name)
