"""Who did what stands in the log exactly if it was done; operators read it, and nobody changes it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from api import Api, make_api, problem
from gitward.identity.authorization import parse_operators
from gitward.sessions import audit_log
from gitward.sessions.audit_log import Act, AuditFilter, Refusals
from gitward.sessions.model import Owner, now
from gitward.sessions.retention import Retention
from gitward.store import schema
from gitward.store.database import Database
from tests_support import Backend

PROMPT = "the words of a command nobody may read"
POST = {"repo": "acme/widgets", "command": f"echo {PROMPT}", "title": "A title of mine"}
OPERATOR = Owner(issuer="gitward", subject="root")


@pytest.fixture
def database_kind(request: pytest.FixtureRequest) -> str:
    return str(getattr(request, "param", "sqlite"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_kind" in metafunc.fixturenames:
        metafunc.parametrize("database_kind", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
async def api(backend: Backend) -> Api:
    return make_api(backend, operators=parse_operators("sub=root"))


async def entries(api: Api, **parameters: str) -> list[dict[str, Any]]:
    async with api.client(OPERATOR) as client:
        answer = await client.get("/audit-log", params=parameters)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_each_act_is_one_line(api: Api, http: httpx2.AsyncClient, backend: Backend) -> None:
    session = (await http.post("/sessions", json=POST)).json()
    path, run = f"/sessions/{session['id']}", session["runs"][0]["id"]
    await http.post(f"{path}/runs", json={"command": "true"})
    await http.post(f"{path}/cancel")
    await http.post(f"{path}/cancel")  # nothing is left
    await http.post(f"{path}/runs/{run}/retry")
    await http.post(f"{path}/cancel")
    await http.delete(path)
    await http.delete(path)  # it is archived already
    await http.patch(path, json={"archived": False})
    found = await entries(api)
    assert [each["act"] for each in reversed(found)] == [
        "session.posted", "run.follow_up", "session.cancelled", "run.retried", "session.cancelled",
        "session.archived", "session.unarchived",
    ]  # fmt: skip
    assert {(each["issuer"], each["subject"], each["session_id"]) for each in found} == {
        ("gitward", "alice", session["id"])
    }
    assert {each["detail"]["repo"] for each in found} == {"acme/widgets"}
    assert PROMPT not in json.dumps(found)
    assert POST["title"] not in json.dumps(found)


async def test_what_was_not_done_is_not_in_it(api: Api, http: httpx2.AsyncClient, bob_http: httpx2.AsyncClient) -> None:
    session = (await http.post("/sessions", json=POST)).json()
    assert (await http.post("/sessions", json={**POST, "branch": session["branch"]})).status_code == 409
    assert (await http.post("/sessions", json={"repo": "no"})).status_code == 422
    assert (await bob_http.post(f"/sessions/{session['id']}/cancel")).status_code == 404
    repeated = [await http.post("/sessions", json=POST, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert repeated[0].json() == repeated[1].json()
    assert [each["act"] for each in await entries(api)] == ["session.posted", "session.posted"]


async def test_it_is_for_operators(api: Api, http: httpx2.AsyncClient, stranger: httpx2.AsyncClient) -> None:
    for path in ("/audit-log", "/audit-log/export"):
        problem(await http.get(path), 403, "forbidden")
        problem(await stranger.get(path), 401, "unauthenticated")
    assert (await http.get("/me")).json()["role"] == "user"
    async with api.client(OPERATOR) as client:
        me = (await client.get("/me")).json()
        assert (me["issuer"], me["subject"], me["role"]) == ("gitward", "root", "operator")
        assert (await client.get("/sessions")).json()["items"] == []


async def test_an_operator_does_not_see_sessions_of_others(api: Api, http: httpx2.AsyncClient) -> None:
    session = (await http.post("/sessions", json=POST)).json()
    async with api.client(OPERATOR) as client:
        problem(await client.get(f"/sessions/{session['id']}"), 404, "not_found")
        problem(await client.post(f"/sessions/{session['id']}/cancel"), 404, "not_found")


async def test_pages_and_filters(api: Api, http: httpx2.AsyncClient, bob_http: httpx2.AsyncClient) -> None:
    for client in (http, bob_http, http):
        await client.post("/sessions", json={"repo": "acme/widgets"})
    async with api.client(OPERATOR) as client:
        first = (await client.get("/audit-log", params={"limit": 2})).json()
        second = (await client.get("/audit-log", params={"limit": 2, "before": first["next"]})).json()
    numbers = [each["number"] for page in (first, second) for each in page["items"]]
    assert numbers == sorted(numbers, reverse=True)
    assert (len(numbers), second["next"]) == (3, None)
    assert len(await entries(api, subject="bob")) == 1
    assert len(await entries(api, act="sign_in")) == 0
    assert len(await entries(api, since=(now() + timedelta(minutes=1)).isoformat())) == 0
    assert len(await entries(api, session_id=first["items"][0]["session_id"])) == 1


@pytest.mark.parametrize(
    ("name", "value"), [("subject", "\0"), ("issuer", "a\0"), ("session_id", "x" * 41), ("act", "x"), ("since", "9")]
)
async def test_filters_that_cannot_be_are_refused(api: Api, name: str, value: str) -> None:
    async with api.client(OPERATOR) as client:
        for path in ("/audit-log", "/audit-log/export"):
            problem(await client.get(path, params={name: value}), 422, "invalid_request")


async def test_the_export_has_all_lines(api: Api, backend: Backend) -> None:
    def fill(tx: Any) -> None:
        for number in range(audit_log.PAGE + 7):
            audit_log.note(tx, Act.OPERATOR, None, what=f"é\n{number}")

    await backend.database.write(fill)
    async with api.client(OPERATOR) as client:
        answer = await client.get("/audit-log/export")
    assert answer.headers["content-type"] == "application/x-ndjson"
    told = [json.loads(line)["detail"]["what"] for line in answer.text.splitlines()]
    assert told == [*(f"é\n{number}" for number in range(audit_log.PAGE + 7)), "exported the audit log"]


async def test_schedules_are_noted(api: Api, http: httpx2.AsyncClient) -> None:
    made = (await http.post("/schedules", json={**POST, "schedule": "0 3 * * *"})).json()
    path = f"/schedules/{made['id']}"
    for change in ({"paused": True}, {"paused": True}, {"paused": False}):
        await http.patch(path, json=change)
    await http.delete(path)
    found = await entries(api)
    acts = ["schedule.posted", "schedule.paused", "schedule.changed", "schedule.removed"]
    assert [each["act"] for each in reversed(found)] == acts
    assert {each["detail"]["schedule_id"] for each in found} == {made["id"]}
    assert PROMPT not in json.dumps(found)


async def test_a_line_cannot_be_changed(database: Database) -> None:
    await database.write(lambda tx: audit_log.note(tx, Act.OPERATOR, None, what="x"))
    change = sa.update(schema.audit_log).values(act="sign_in")
    with pytest.raises(sa.exc.DBAPIError, match="append-only"):
        await database.write(lambda tx: tx.execute(change).rowcount)


async def test_old_lines_go(database: Database) -> None:
    for _ in range(3):
        await database.write(lambda tx: audit_log.note(tx, Act.OPERATOR, None))
    await Retention(database, days=0, audit_days=30).sweep(now() + timedelta(days=29))
    assert len(await database.read(lambda tx: audit_log.read(tx, AuditFilter(), before=None, limit=9))) == 3
    await Retention(database, days=0).sweep(now() + timedelta(days=9999))
    assert len(await database.read(lambda tx: audit_log.read(tx, AuditFilter(), before=None, limit=9))) == 3
    await Retention(database, days=0, audit_days=30).sweep(now() + timedelta(days=31))
    assert await database.read(lambda tx: audit_log.read(tx, AuditFilter(), before=None, limit=9)) == []


async def test_strangers_cannot_fill_it(database: Database) -> None:
    refusals = Refusals(database)
    for _ in range(audit_log.REFUSALS_A_MINUTE + 20):
        await refusals.note("x" * 5000)
    found = await database.read(lambda tx: audit_log.read(tx, AuditFilter(), before=None, limit=500))
    assert len(found) == audit_log.REFUSALS_A_MINUTE
    assert len(found[0].detail["reason"]) == audit_log.MAX_DETAIL
