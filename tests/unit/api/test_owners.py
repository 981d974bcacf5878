"""Another owner's session does not exist, in every route that there is: they are taken from the application itself."""

from __future__ import annotations

from asyncio import iscoroutinefunction
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.routing import Route

from api import Api, problem
from gitward.api.request_gate import OPEN_PATHS
from gitward.sessions import artifacts
from gitward.sessions.artifacts import Origin
from gitward.sessions.model import ArtifactKind

Call = tuple[str, str]
REFERENCE = {("GET", path) for path in ("/docs", "/openapi.json")}

METRICS = ("GET", "/metrics")  # for Prometheus, not for callers of the API


def routes(router: Any) -> Iterator[Route]:
    """Those of routers that were included, too; FastAPI keeps them apart."""
    for each in router.routes:
        if isinstance(each, Route | APIRoute):
            yield each
        else:
            yield from routes(each.original_router)


def calls(api: Api) -> list[Call]:
    """Every method and path that the application answers, but for its own description."""
    every = {(method, route.path) for route in routes(api.app) for method in route.methods or () if method != "HEAD"}
    return sorted(every - REFERENCE)


async def send(http: httpx2.AsyncClient, call: Call, names: dict[str, str], **headers: str) -> httpx2.Response:
    method, path = call
    body: dict[str, str] | None = {} if method in {"POST", "PATCH", "PUT"} else None
    return await http.request(method, path.format(**names), json=body, headers=headers)


async def names_of_a_session(api: Api, http: httpx2.AsyncClient) -> dict[str, str]:
    """An ended session of Alice's that has everything that a session can have."""
    session = (await http.post("/sessions", json={"repo": "owner/repo"})).json()
    run_id = session["runs"][0]["id"]
    with api.backend.database.transaction() as tx:
        for kind in ArtifactKind:
            artifacts.store(tx, Origin(run_id=run_id, attempt=0), kind, b"secret change")
    await api.backend.end(run_id)
    schedule = (await http.post("/schedules", json={"repo": "owner/repo", "schedule": "0 6 * * MON"})).json()
    return {"session_id": session["id"], "run_id": run_id, "schedule_id": schedule["id"]}


def dependencies(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for each in dependant.dependencies:
        yield from dependencies(each)


async def test_nothing_that_a_request_needs_is_done_in_a_thread_by_fastapi(api: Api) -> None:
    """It does so for what is no coroutine: two hops between threads, for what takes microseconds."""
    needed = [
        (route.path, each.call)
        for route in routes(api.app)
        if isinstance(route, APIRoute)
        for each in dependencies(route.dependant)
    ]
    assert len(needed) > 50
    assert [
        (where, call) for where, call in needed if not isinstance(call, HTTPBearer) and not iscoroutinefunction(call)
    ] == []


async def test_the_routes_are_those_of_the_contract(api: Api) -> None:
    assert calls(api) == [
        ("DELETE", "/schedules/{schedule_id}"),
        ("DELETE", "/sessions/{session_id}"),
        ("GET", "/agents"),
        ("GET", "/audit-log"),
        ("GET", "/audit-log/export"),
        ("GET", "/environments"),
        ("GET", "/health"),
        ("GET", "/me"),
        METRICS,
        ("GET", "/ready"),
        ("GET", "/schedules"),
        ("GET", "/schedules/{schedule_id}"),
        ("GET", "/sessions"),
        ("GET", "/sessions/{session_id}"),
        ("GET", "/sessions/{session_id}/bundle"),
        ("GET", "/sessions/{session_id}/deliveries"),
        ("GET", "/sessions/{session_id}/diff"),
        ("GET", "/sessions/{session_id}/events"),
        ("GET", "/sessions/{session_id}/events/stream"),
        ("GET", "/sessions/{session_id}/patch"),
        ("GET", "/sessions/{session_id}/runs"),
        ("GET", "/sessions/{session_id}/runs/{run_id}"),
        ("PATCH", "/schedules/{schedule_id}"),
        ("PATCH", "/sessions/{session_id}"),
        ("POST", "/schedules"),
        ("POST", "/sessions"),
        ("POST", "/sessions/{session_id}/cancel"),
        ("POST", "/sessions/{session_id}/runs"),
        ("POST", "/sessions/{session_id}/runs/{run_id}/publish"),
        ("POST", "/sessions/{session_id}/runs/{run_id}/retry"),
    ]


async def test_every_route_is_described(api: Api) -> None:
    described = {(method.upper(), path) for path, methods in api.app.openapi()["paths"].items() for method in methods}
    assert described == set(calls(api)) - {METRICS}


@pytest.mark.parametrize("accept", ["*/*", "text/event-stream"])
async def test_a_second_user_sees_not_found_everywhere(
    api: Api, http: httpx2.AsyncClient, bob_http: httpx2.AsyncClient, accept: str
) -> None:
    """With the same words as for a session that never was; and nothing has changed afterwards."""
    names = await names_of_a_session(api, http)
    nothing = {name: f"{value[:4]}{'0' * 16}" for name, value in names.items()}
    before = (await http.get(f"/sessions/{names['session_id']}")).json()
    walked = [call for call in calls(api) if "{" in call[1]]
    assert len(walked) >= 10
    for call in walked:
        hidden = await send(bob_http, call, names, Accept=accept)
        absent = await send(bob_http, call, nothing, Accept=accept)
        problem(hidden, 404, "not_found")
        assert hidden.content == absent.content, call
    assert (await http.get(f"/sessions/{names['session_id']}")).json() == before
    assert (await http.get(f"/schedules/{names['schedule_id']}")).status_code == 200
    assert (await bob_http.get("/sessions")).json() == {"items": [], "next": None}


async def test_the_owner_is_let_in_by_the_same_calls(api: Api, http: httpx2.AsyncClient) -> None:
    """So that the walk above proves something."""
    for call in calls(api):
        if "{" in call[1]:
            method, path = call
            bounded = f"{path}?run_id={{run_id}}" if path.endswith("/stream") else path  # it ends with the run
            answer = await send(http, (method, bounded), await names_of_a_session(api, http))
            assert answer.status_code in {200, 201, 204}, (call, answer.text)


async def test_a_run_of_another_session_is_not_reached_through_one_s_own(
    api: Api, http: httpx2.AsyncClient, bob_http: httpx2.AsyncClient
) -> None:
    names = await names_of_a_session(api, http)
    own = (await bob_http.post("/sessions", json={"repo": "owner/repo"})).json()
    mixed = {"session_id": own["id"], "run_id": names["run_id"]}
    for call in calls(api):
        if "{run_id}" in call[1]:
            problem(await send(bob_http, call, mixed), 404, "not_found")
    problem(await bob_http.get(f"/sessions/{own['id']}/events?run_id={names['run_id']}"), 404, "not_found")


@pytest.mark.parametrize("branch", ["fix/cve-secret-2026", "gitward/0f3k9q2m"])
async def test_a_taken_branch_is_told_in_the_same_words_whoever_has_it(
    http: httpx2.AsyncClient, bob_http: httpx2.AsyncClient, branch: str
) -> None:
    """Nobody learns that somebody else has a session, or what it is about."""
    wanted = {"repo": "owner/repo", "branch": branch}
    assert (await http.post("/sessions", json=wanted)).status_code == 201
    own, others = [await each.post("/sessions", json=wanted) for each in (http, bob_http)]
    document = problem(others, 409, "conflict")
    assert document["detail"] == f"The branch {branch} of owner/repo is taken; name another one."
    assert own.content == others.content
    assert "session" not in others.text


async def test_an_idempotency_key_of_another_owner_is_new(
    http: httpx2.AsyncClient, bob_http: httpx2.AsyncClient
) -> None:
    """Also with another body: neither its answer nor that it was used is told."""
    key = {"Idempotency-Key": "the-same"}
    first = await http.post("/sessions", json={"repo": "owner/repo", "title": "secret"}, headers=key)
    second = await bob_http.post("/sessions", json={"repo": "owner/other"}, headers=key)
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json()["owner"]["subject"] == "bob"
    assert "secret" not in second.text


async def test_a_cursor_of_another_owner_shows_one_s_own(
    api: Api, http: httpx2.AsyncClient, bob_http: httpx2.AsyncClient
) -> None:
    """It is a place in time, whoever had a session there."""
    mine = [(await bob_http.post("/sessions", json={"repo": "owner/repo"})).json()["id"] for _ in range(2)]
    for _ in range(2):
        await http.post("/sessions", json={"repo": "owner/repo", "title": "secret"})
    cursor = (await http.get("/sessions", params={"limit": 1})).json()["next"]
    page = (await bob_http.get("/sessions", params={"cursor": cursor})).json()
    assert [item["id"] for item in page["items"]] == mine[::-1]


async def test_filters_find_nothing_of_another_owner(
    api: Api, http: httpx2.AsyncClient, bob_http: httpx2.AsyncClient
) -> None:
    names = await names_of_a_session(api, http)
    for query in ({"repo": "owner/repo"}, {"schedule": names["schedule_id"]}, {"state": "succeeded"}):
        assert (await bob_http.get("/sessions", params=query)).json() == {"items": [], "next": None}


async def test_what_a_new_session_is_told_of_the_queue_does_not_tell_of_others(
    api: Api, http: httpx2.AsyncClient, bob_http: httpx2.AsyncClient
) -> None:
    """Only that all places are taken, never by whom or how many wait."""
    for _ in range(3):
        await http.post("/sessions", json={"repo": "owner/repo", "title": "secret"})
    run = (await bob_http.post("/sessions", json={"repo": "owner/repo"})).json()["runs"][0]
    assert (run["queued_because"], run["queue_place"]) == ("Waiting for a free worker.", 1)


async def test_without_a_token_every_route_that_is_not_open_is_refused(
    api: Api, http: httpx2.AsyncClient, stranger: httpx2.AsyncClient
) -> None:
    names = await names_of_a_session(api, http)
    for call in calls(api):
        answer = await send(stranger, call, names)
        if call[1] in OPEN_PATHS or call == METRICS:
            assert answer.status_code == 200
        else:
            problem(answer, 401, "unauthenticated")
