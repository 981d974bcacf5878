"""A command fills the disk on which database and workspaces lie, as they do by default. The service lives."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator

import pytest

from processes import until_output
from rig import Client, Json, Rig, output, rig
from small_disks import fill, fill_files, remounted, seen_by

DISK = {"data": 96}  # MiB
FILL = "echo precious > work.txt; seq 1 2000; cat /dev/zero > big"


@contextlib.asynccontextmanager
async def small(**settings: str) -> AsyncIterator[tuple[Rig, Client]]:
    async with rig(None, DISK, **settings) as service, service.client() as client:
        yield service, client


def data_of(service: Rig) -> object:
    return None


async def patch_of(client: Client, session: Json) -> str:
    answer = await client.http.get(f"/sessions/{session['id']}/patch")
    assert answer.status_code == 200, answer.text
    return answer.text


async def ready(client: Client) -> tuple[bool, dict[str, str]]:
    """Whether the service is ready, and the sentences of what is not."""
    answer = (await client.http.get("/ready")).json()
    return answer["ready"], {each["name"]: each["detail"] for each in answer["checks"] if not each["ok"]}


async def test_a_run_whose_command_fills_the_disk_ends_with_its_reason_and_its_work_is_kept() -> None:
    async with small() as (service, client):
        repository = await service.repository()
        session, run, events = await client.run(repository, f"{FILL}; seq 1 20000; exit 7")
        assert (run["state"], run["reason"], run["exit_code"]) == ("failed", "task_failed", 7), run
        assert "The disk of the workspaces was full; make room on it, or lower GITWARD_DISK." in run["message"]
        assert "+precious" in await patch_of(client, session)
        assert output(events).endswith("19999\n20000\n")
        _, run, _ = await client.run(repository, "echo x > x")
        assert run["state"] == "succeeded", run


async def test_a_command_that_fills_the_disk_and_stays_is_ended() -> None:
    async with small() as (service, client):
        repository = await service.repository()
        session, run, _ = await client.run(repository, f"{FILL}; sleep 300")
        assert (run["state"], run["reason"]) == ("failed", "sandbox_failed"), run
        assert "The command was ended to make room: its files took" in run["message"]
        assert "+precious" in await patch_of(client, session)
