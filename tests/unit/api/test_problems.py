"""What goes wrong inside is told outside in one sentence, and in the log in full."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing

import httpx2
import pytest
import sqlalchemy as sa

from api import Api, problem
from gitward.errors import HTTP_STATUS, FieldError, RequestError, TooManyRequests, Unavailable
from gitward.sessions.model import Owner

CANARY = "canary-0123456789"


def all_errors() -> list[type[RequestError]]:
    return [kind for kind in RequestError.__subclasses__() if kind.__module__ == "gitward.errors"]


@pytest.mark.parametrize("kind", all_errors())
async def test_every_error_has_its_status_and_code(api: Api, alice: Owner, kind: type[RequestError]) -> None:
    @api.app.get("/fail")
    async def fail() -> None:
        raise kind("A sentence.", errors=[FieldError(field="x", message="must be y")])

    async with api.client(alice) as http:
        answer = await http.get("/fail")
    document = problem(answer, HTTP_STATUS[kind.code], kind.code)
    assert document["detail"] == "A sentence."
    assert document["errors"] == [{"field": "x", "message": "must be y"}]
    assert ("retry-after" in answer.headers) == (kind in {TooManyRequests, Unavailable})
    assert ("www-authenticate" in answer.headers) == (HTTP_STATUS[kind.code] == 401)


async def test_an_unexpected_error_is_whole_in_the_log_and_internal_outside(
    api: Api, alice: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    @api.app.get("/fail")
    async def fail() -> None:
        raise RuntimeError(CANARY)

    transport = httpx2.ASGITransport(api.app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {api.jwt(alice)}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://gitward", headers=headers) as http:
        answer = await http.get("/fail")
    assert problem(answer, 500, "internal")["detail"] == "Gitward failed; its log has the details."
    assert CANARY not in answer.text
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.getMessage() == "GET /fail failed unexpectedly"
    assert record.exc_info is not None
    assert CANARY in str(record.exc_info[1])


@pytest.mark.parametrize(
    "error",
    [
        sa.exc.OperationalError("SELECT secret", {}, Exception(CANARY)),
        sa.exc.TimeoutError(CANARY),
        TimeoutError(CANARY),
    ],
)
async def test_a_database_that_does_not_answer_is_unavailable(api: Api, alice: Owner, error: Exception) -> None:
    @api.app.get("/fail")
    async def fail() -> None:
        raise error

    async with api.client(alice) as http:
        answer = await http.get("/fail")
    assert problem(answer, 503, "unavailable")["detail"] == "The database does not answer in time; try again."
    assert CANARY not in answer.text


async def test_a_damaged_table_is_told_so_too(api: Api, alice: Owner) -> None:
    with closing(sqlite3.connect(str(api.backend.database.url.database))) as connection:
        connection.execute("DROP TABLE events")
        connection.commit()
    async with api.client(alice) as http:
        problem(await http.post("/sessions", json={"repo": "owner/repo"}), 503, "unavailable")
        assert (await http.get("/sessions")).json()["items"] == []
