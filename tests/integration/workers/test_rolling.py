"""SIGTERM hands a worker's runs over in an orderly way: nothing is lost, nothing counts as a loss."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from fleet import Fleet, WorkerProcess, fleet
from outside import look_at
from postgres import Postgres, running_postgres
from rig import Client

Json = dict[str, Any]


async def begun(client: Client, session: Json) -> None:
    """Waits until the command says something."""
    async with asyncio.timeout(300):
        async for event in client.stream(session):
            if event["type"] == "output" and event["data"]["step"] == "execute":
                return


def waiting(made: Fleet, sign: str) -> str:
    return f"echo begun; until [ -e {made.signs}/{sign} ]; do sleep 0.1; done; echo changed > file.txt"


async def stop(worker: WorkerProcess) -> asyncio.Task[int]:
    task = asyncio.create_task(worker.stop())
    await asyncio.sleep(0)
    return task


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.url(postgres.make())


async def test_a_rolling_restart_of_two_workers_loses_nothing(url: str) -> None:
    """Every run goes on, ends or is handed over, while each worker in turn is replaced by a new one."""
    async with fleet(url, workers=2, warm=True, GITWARD_GRACE_SECONDS="1") as made, made.rig.client() as client:
        repository = await made.rig.repository()
        sessions = [await client.session(repository, command=waiting(made, "go")) for _ in range(3)]
        await asyncio.gather(*(begun(client, session) for session in sessions))
        for worker in tuple(made.workers):
            assert await worker.stop() == 0
            await made.add()
        (made.signs / "go").touch()
        ended = [await client.finished(session) for session in sessions]
        for run, events in ended:
            assert (run["state"], run["changed"]) == ("succeeded", True), run
            assert [event["type"] for event in events].count("run.ended") == 1
        assert max(run["attempt"] for run, _ in ended) > 1, "some were handed over"
        assert look_at(url, "SELECT sum(losses) FROM runs") == [(0,)]
        assert len(repository.pulls) == 3


async def test_a_run_that_ends_within_the_grace_time_is_not_disturbed(url: str) -> None:
    async with fleet(url, workers=1, warm=True, GITWARD_GRACE_SECONDS="60") as made, made.rig.client() as client:
        worker = made.workers[0]
        repository = await made.rig.repository()
        running = await client.session(repository, command=waiting(made, "go"))
        await begun(client, running)
        stopping = await stop(worker)
        queued = await client.session(repository, command="true")
        (made.signs / "go").touch()
        run, _ = await client.finished(running)
        assert (run["state"], run["attempt"]) == ("succeeded", 1)
        assert await stopping == 0
        waits = await client.get(f"/sessions/{queued['id']}")
        assert waits["state"] == "queued", "a worker that is being stopped takes no more"
        await made.add()
        run, _ = await client.finished(queued)
        assert (run["state"], run["attempt"]) == ("succeeded", 1)


async def test_a_second_sigterm_hands_over_at_once(url: str) -> None:
    async with fleet(url, workers=1, warm=True, GITWARD_GRACE_SECONDS="3600") as made, made.rig.client() as client:
        worker = made.workers[0]
        session = await client.session(await made.rig.repository(), command=waiting(made, "go"))
        await begun(client, session)
        other = await made.add()
        stopping = await stop(worker)
        async with asyncio.timeout(300):
            while b"a second signal hands them over" not in worker.log.read_bytes():
                await asyncio.sleep(0.02)
        worker.send(signal.SIGTERM)
        assert await stopping == 0
        async with asyncio.timeout(300):
            async for event in client.stream(session):
                if event["type"] == "run.taken_over":
                    break
        (made.signs / "go").touch()
        run, _ = await client.finished(session)
        assert (run["state"], run["attempt"]) == ("succeeded", 2)
        assert other.process is not None
        assert other.process.returncode is None


@pytest.fixture
def server() -> Iterator[Postgres]:
    """One that the test may stop."""
    with running_postgres() as own:
        yield own


async def test_a_database_that_is_away_for_longer_than_the_lease_costs_nothing_but_time(server: Postgres) -> None:
    """The worker stops what it does, as others might take over; nobody does, and no loss is counted."""
    url = server.url(server.make())
    async with fleet(url, workers=1, warm=True, GITWARD_LEASE_SECONDS="8") as made, made.rig.client() as client:
        worker = made.workers[0]
        repository = await made.rig.repository()
        session = await client.session(repository, command=waiting(made, "go"))
        await begun(client, session)
        await asyncio.to_thread(server.stop)
        async with asyncio.timeout(300):
            while b"The lease is lost" not in worker.log.read_bytes():
                await asyncio.sleep(0.05)
        await asyncio.to_thread(server.start)
        (made.signs / "go").touch()
        async with asyncio.timeout(100):
            while b"Back at work as" not in worker.log.read_bytes():
                await asyncio.sleep(0.05)
        run, events = await client.finished(session)
        assert (run["state"], run["attempt"]) == ("succeeded", 2), run
        assert [event["type"] for event in events].count("run.ended") == 1
        assert look_at(url, "SELECT sum(losses) FROM runs") == [(0,)]
        assert len(repository.pulls) == 1
