"""A POST that is repeated with its Idempotency-Key makes one session, and is answered as the first time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx2
import pytest
import sqlalchemy as sa

from api import Api, fields, problem
from gitward.sessions.model import now
from gitward.store import schema

BODY = {"repo": "owner/repo", "title": "One"}


async def post(http: httpx2.AsyncClient, key: str, body: object = BODY) -> httpx2.Response:
    return await http.post("/sessions", json=body, headers={"Idempotency-Key": key})


async def count(http: httpx2.AsyncClient) -> int:
    return len((await http.get("/sessions")).json()["items"])


async def test_a_repeat_gets_the_first_answer(api: Api, http: httpx2.AsyncClient) -> None:
    """Also when the session has gone on meanwhile."""
    first = await post(http, "key-1")
    await api.backend.end(first.json()["runs"][0]["id"])
    again = await post(http, "key-1")
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert await count(http) == 1


async def test_a_repeat_with_a_branch_of_its_own_gets_the_first_answer(http: httpx2.AsyncClient) -> None:
    """The branch is taken then, by the session that the first one made."""
    body = {**BODY, "branch": "fix/one"}
    first = await post(http, "key-1", body)
    async with asyncio.timeout(60):
        again = await asyncio.gather(*(post(http, "key-1", body) for _ in range(5)))
    assert {(answer.status_code, answer.content) for answer in again} == {(201, first.content)}
    problem(await post(http, "key-2", body), 409, "conflict")
    assert await count(http) == 1
    events = await http.get(f"/sessions/{first.json()['id']}/events")
    assert [event["seq"] for event in events.json()["items"]] == [1, 2]


async def test_another_key_makes_another_session(http: httpx2.AsyncClient) -> None:
    assert (await post(http, "key-1")).json()["id"] != (await post(http, "key-2")).json()["id"]
    assert await count(http) == 2


async def test_the_same_key_with_another_body_is_refused(http: httpx2.AsyncClient) -> None:
    await post(http, "key-1")
    problem(await post(http, "key-1", {**BODY, "title": "Two"}), 422, "idempotency_key_reused")
    assert await count(http) == 1


async def test_a_key_is_its_owner_s(http: httpx2.AsyncClient, bob_http: httpx2.AsyncClient) -> None:
    mine, theirs = await post(http, "key-1"), await post(bob_http, "key-1", {**BODY, "title": "Bob's"})
    assert theirs.status_code == 201
    assert mine.json()["id"] != theirs.json()["id"]


async def test_ten_at_once_make_one_session(http: httpx2.AsyncClient) -> None:
    async with asyncio.timeout(60):
        answers = await asyncio.gather(*(post(http, "key-1") for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await count(http) == 1


async def test_a_refused_request_uses_no_key_up(http: httpx2.AsyncClient) -> None:
    """Neither by its values nor by a conflict: the mended request may come with the same key."""
    assert fields(await post(http, "key-1", {"repo": "x"})) == ["repo"]
    taken = await http.post("/sessions", json={**BODY, "branch": "fix"})
    problem(await post(http, "key-1", {**BODY, "branch": "fix"}), 409, "conflict")
    assert (await post(http, "key-1", {**BODY, "branch": "fix-2"})).status_code == 201
    assert taken.status_code == 201


@pytest.mark.parametrize(("hours", "sessions"), [(23, 1), (25, 2)])
async def test_a_key_holds_for_a_day(api: Api, http: httpx2.AsyncClient, hours: int, sessions: int) -> None:
    await post(http, "key-1")
    with api.backend.database.transaction() as tx:
        earlier = now() - timedelta(hours=hours)
        tx.execute(sa.update(schema.idempotency_keys).values(created_at=earlier))
    assert (await post(http, "key-1")).status_code == 201
    assert await count(http) == sessions


@pytest.mark.parametrize("key", ["", "x" * 256, "two words", "tab\t", "ä"])
async def test_a_key_that_is_not_allowed_is_told(http: httpx2.AsyncClient, key: str) -> None:
    answer = await http.post("/sessions", json=BODY, headers=[(b"Idempotency-Key", key.encode())])
    assert [name.lower() for name in fields(answer)] == ["idempotency-key"]


async def test_without_a_key_each_post_makes_a_session(http: httpx2.AsyncClient) -> None:
    for _ in range(2):
        await http.post("/sessions", json=BODY)
    assert await count(http) == 2
