"""A Postgres that is stopped, while its connections live: callers are told so in time, and runs go on afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from machine import slowness
from postgres import Postgres, running_postgres
from rig import rig

LIMIT_SECONDS = 10.0
NEED_NONE = {"/agents", "/environments", "/me", "/audit-log", "/audit-log/export"}  # the last two refuse this caller
Json = dict[str, Any]


@pytest.fixture
def server() -> Iterator[Postgres]:
    """One that the test may stop."""
    with running_postgres() as own:
        try:
            yield own
        finally:
            own.resume()


def calls(description: Json, names: dict[str, str]) -> list[tuple[str, str]]:
    """Every route that asks the database."""
    every = [
        (method.upper(), path.format(**names))
        for path, methods in description["paths"].items()
        for method in methods
        if path not in {"/health", "/ready"}
    ]
    assert len(every) > 15
    return every


async def ask(http: httpx2.AsyncClient, method: str, path: str, body: Json) -> tuple[int, str, float]:
    """The status, the problem's code, and how long it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    answer = await http.request(method, path, json=body if method in {"POST", "PATCH"} else None)
    return answer.status_code, answer.json().get("code", ""), loop.time() - began


async def test_every_route_says_so_in_time_and_runs_go_on_afterwards(server: Postgres) -> None:
    url = server.url(server.make())
    async with rig(GITWARD_DATABASE_URL=url) as service, service.client() as client:
        repository = await service.repository()
        wait = "echo begun; until [ -e go ]; do sleep 0.1; touch go; done; echo changed > file.txt"
        session = await client.session(repository, command="true")
        await client.finished(session)
        running = await client.session(repository, command=wait)
        description = (await client.http.get("/openapi.json")).json()
        names = {"session_id": session["id"], "run_id": session["runs"][0]["id"], "schedule_id": "sch_" + "0" * 16}
        body = {"repo": repository.full_name, "command": "true"}
        bodies = {"/schedules": {**body, "schedule": "0 6 * * *"}}
        server.pause()
        asked = [
            (method, path)
            for method, path in calls(description, names)
            if path not in NEED_NONE and (method, path) != ("PATCH", f"/schedules/{names['schedule_id']}")
        ]
        answers = await asyncio.gather(
            *(
                ask(
                    client.http,
                    method,
                    path,
                    bodies.get(path, {"title": "x"} if method == "PATCH" else body if path == "/sessions" else {}),
                )
                for method, path in asked
            )
        )
        told = dict(zip(asked, answers, strict=True))
        assert {call: answer[:2] for call, answer in told.items() if answer[:2] != (503, "unavailable")} == {}
        limit = LIMIT_SECONDS * slowness()
        late = {call: answer[2] for call, answer in told.items() if answer[2] > limit}
        assert late == {}
        ready = await client.http.get("/ready")
        assert ready.status_code == 503
        assert {"name": "database", "ok": False, "detail": "The database does not answer."} in ready.json()["checks"]
        assert (await client.http.get("/health")).status_code == 200
        server.resume()
        run, _ = await client.finished(running)
        assert (run["state"], run["changed"]) == ("succeeded", True), run
        after, _ = await client.finished(await client.session(repository, command="true"))
        assert after["state"] == "succeeded"
