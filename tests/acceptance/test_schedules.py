"""The real service follows a schedule: its session runs as one that was posted."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

from rig import Client, Rig


async def test_a_schedule_makes_a_session_that_opens_a_pull_request(service: Rig, alice_client: Client) -> None:
    """The test moves the next time into the past, as if it had waited."""
    repository = await service.repository()
    body = {"repo": repository.full_name, "schedule": "0 6 * * MON", "command": "echo weekly > chores.txt"}
    schedule = await alice_client.post("/schedules", body)
    with closing(sqlite3.connect(service.data / "gitward.db", timeout=30)) as connection:
        connection.execute("UPDATE schedules SET next_at = '2026-01-05 06:00:00' WHERE id = ?", (schedule["id"],))
        connection.commit()
    async with asyncio.timeout(300):
        while not (await alice_client.get("/sessions", schedule=schedule["id"]))["items"]:
            await asyncio.sleep(0.2)
    [session] = (await alice_client.get("/sessions", schedule=schedule["id"]))["items"]
    run, _ = await alice_client.finished(session)
    assert (run["state"], run["changed"]) == ("succeeded", True)
    assert run["pull_request"] is not None
    now = await alice_client.get(f"/schedules/{schedule['id']}")
    assert (now["last_session_id"], now["next_at"] > schedule["created_at"]) == (session["id"], True)
