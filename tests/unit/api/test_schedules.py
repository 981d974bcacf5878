"""Schedules over HTTP."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx2
import pytest

from api import Api, fields, problem
from gitward.identity.authorization import parse_rules
from gitward.sessions.schedules import find

Json = dict[str, Any]
WEEKLY = {
    "schedule": "0 6 * * MON",
    "timezone": "Europe/Berlin",
    "repo": "acme/widgets",
    "target_branch": "main",
    "title": "Weekly chores",
    "labels": ["chores"],
    "command": "make chores",
}


async def post(http: httpx2.AsyncClient, **changes: object) -> httpx2.Response:
    return await http.post("/schedules", json={**WEEKLY, **changes})


async def test_what_was_posted_is_what_is_stored(http: httpx2.AsyncClient) -> None:
    answer = await post(http)
    made: Json = answer.json()
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/schedules/{made['id']}"
    assert {name: made[name] for name in WEEKLY if name != "command"} == {
        name: value for name, value in WEEKLY.items() if name != "command"
    }
    assert made["instruction"]["command"] == "make chores"
    assert made["owner"] == {"issuer": "gitward", "subject": "alice"}
    assert (made["paused"], made["last_at"], made["last_session_id"], made["skipped_because"]) == (False, *[None] * 3)
    assert made["next_at"] > made["created_at"]
    assert (await http.get(f"/schedules/{made['id']}")).json() == made
    assert (await http.get("/schedules")).json() == {"items": [made], "next": None}
    assert (await http.get("/sessions")).json()["items"] == [], "the first session is made when the time comes"


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"schedule": "every monday"}, ["schedule"]),
        ({"schedule": "0 0 31 2 *"}, ["schedule"]),
        ({"timezone": "Middle/Earth"}, ["timezone"]),
        ({"branch": "fix"}, ["branch"]),
        ({"repo": "widgets"}, ["repo"]),
        ({"schedule": None}, ["schedule"]),
    ],
)
async def test_what_cannot_be_is_refused(http: httpx2.AsyncClient, changes: Json, refused: list[str]) -> None:
    assert fields(await post(http, **changes)) == refused


async def test_it_is_paused_moved_and_deleted(http: httpx2.AsyncClient) -> None:
    made = (await post(http)).json()
    url = f"/schedules/{made['id']}"
    paused = (await http.patch(url, json={"paused": True})).json()
    assert (paused["paused"], paused["next_at"]) == (True, None)
    moved = (await http.patch(url, json={"paused": False, "schedule": "0 7 * * *"})).json()
    assert (moved["schedule"], moved["timezone"], moved["paused"]) == ("0 7 * * *", "Europe/Berlin", False)
    assert moved["next_at"] is not None
    assert fields(await http.patch(url, json={"timezone": "Nowhere"})) == ["timezone"]
    assert fields(await http.patch(url, json={"timezone": ""})) == ["timezone"]
    assert fields(await http.patch(url, json={"schedule": ""})) == ["schedule"]
    assert (await http.delete(url)).status_code == 204
    problem(await http.get(url), 404, "not_found")


async def test_the_operator_s_choice_of_repositories_holds(api: Api, http: httpx2.AsyncClient) -> None:
    api.app.state.services = replace(api.services, repo_globs=("acme/*",))
    assert (await post(http)).status_code == 201
    assert fields(await post(http, repo="other/widgets")) == ["repo"]
    assert fields(await post(http, submodules=["other/widgets"])) == ["submodules"]


async def test_the_claims_that_the_rules_name_are_kept_for_later(api: Api, http: httpx2.AsyncClient) -> None:
    api.app.state.services = replace(api.services, rules=parse_rules("sub=alice -> acme/*"))
    made = (await post(http)).json()
    with api.backend.database.snapshot() as tx:
        stored = find(tx, made["id"])
    assert stored is not None
    assert stored.claims == {"sub": "alice"}
    assert fields(await post(http, repo="other/widgets")) == ["repo"]


async def test_a_session_has_no_schedule_unless_one_made_it(http: httpx2.AsyncClient) -> None:
    session = (await http.post("/sessions", json={"repo": "acme/widgets"})).json()
    assert (session["schedule_id"], session["scheduled_for"]) == (None, None)
    assert (await http.get("/sessions?schedule=sch_0000000000000000")).json()["items"] == []
