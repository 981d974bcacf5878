"""Who may read the metrics, and what the database adds to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from api import make_api, problem
from gitward.identity.authorization import parse_operators
from gitward.sessions.model import Owner
from gitward.store.database import Database
from tests_support import Backend

LOCAL, REMOTE = "127.0.0.1", "192.0.2.7"


async def ask(
    backend: Backend,
    *,
    peer: str = LOCAL,
    caller: Owner | None = None,
    headers: Mapping[str, str] | None = None,
    operators: str = "sub=alice; groups=ops-*",
    is_proxied: bool = False,
    host: str = "127.0.0.1:8000",
) -> httpx2.Response:
    api = make_api(backend, operators=parse_operators(operators), is_proxied=is_proxied)
    sent = dict(headers or {})
    if caller is not None:
        sent["Authorization"] = f"Bearer {api.jwt(caller)}"
    transport = httpx2.ASGITransport(api.app, client=(peer, 1234))
    async with httpx2.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
        return await client.get("/metrics", headers=sent)


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1"])
async def test_this_machine_may_read_them(backend: Backend, peer: str) -> None:
    answer = await ask(backend, peer=peer)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Host"])
async def test_a_proxy_on_this_machine_is_not_this_machine(backend: Backend, header: str) -> None:
    problem(await ask(backend, headers={header: LOCAL}), 401, "unauthenticated")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000"])
async def test_this_machine_has_these_names(backend: Backend, host: str) -> None:
    assert (await ask(backend, headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host", ["gitward.example.com", "gitward.example.com:443", "localhost.example.com", "10.0.0.1", "", "[", "127.1"]
)
async def test_a_proxy_that_sets_no_header_still_passes_the_name_on(backend: Backend, host: str) -> None:
    problem(await ask(backend, headers={"Host": host}), 401, "unauthenticated")


async def test_a_proxy_that_names_this_machine_speaks_an_older_http(backend: Backend, alice: Owner) -> None:
    """As nginx does whose configuration has a `proxy_pass` and nothing else."""
    api = make_api(backend)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.0",
        "method": "GET",
        "path": "/metrics",
        "raw_path": b"/metrics",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1:8000")],
        "client": (LOCAL, 1),
    }
    await api.app(scope, receive, send)
    assert sent[0]["status"] == 401


async def test_whoever_is_reached_through_another_address_takes_no_caller_for_a_local_one(
    backend: Backend, alice: Owner
) -> None:
    problem(await ask(backend, is_proxied=True), 401, "unauthenticated")
    assert (await ask(backend, is_proxied=True, caller=alice)).status_code == 200


@pytest.mark.parametrize("peer", [REMOTE, "::ffff:192.0.2.7", "testclient"])
async def test_another_machine_needs_a_token(backend: Backend, peer: str) -> None:
    problem(await ask(backend, peer=peer), 401, "unauthenticated")


async def test_an_operator_may_read_them_from_anywhere_and_another_user_not(
    backend: Backend, alice: Owner, bob: Owner
) -> None:
    assert (await ask(backend, peer=REMOTE, caller=alice)).status_code == 200
    problem(await ask(backend, peer=REMOTE, caller=bob), 403, "forbidden")
    problem(await ask(backend, peer=REMOTE, caller=alice, operators=""), 403, "forbidden")


@pytest.mark.parametrize("text", ["alice", "=alice", "sub=", "sub=alice; ops"])
def test_operators_have_a_form(text: str) -> None:
    with pytest.raises(ValueError, match="must be CLAIM=VALUE"):
        parse_operators(text)


async def test_they_tell_what_is_queued_and_running(backend: Backend, alice: Owner) -> None:
    session = await backend.create(alice)
    other = await backend.create(alice)
    with backend.database.transaction() as tx:
        backend.sessions.add_run(tx, alice, session.id, session.runs[0].instruction)
        backend.progress().take(tx, session.runs[0].id)
    text = (await ask(backend)).text
    for line in (
        'gitward_runs{state="queued"} 2.0',
        'gitward_runs{state="running"} 1.0',
        'gitward_queued_runs{waiting_for="place"} 0.0',
        'gitward_queued_runs{waiting_for="worker"} 1.0',
        'gitward_queued_runs{waiting_for="session"} 1.0',
        "gitward_places 100.0",
        "gitward_places_taken 2.0",
        'gitward_events_total{type="run.queued"} 3.0',
    ):
        assert line in text.splitlines(), line
    await backend.end(other.runs[0].id)
    assert 'gitward_runs_ended_total{reason="",state="succeeded"} 1.0' in (await ask(backend)).text


async def test_they_are_told_without_the_database_s_figures_while_it_is_away(backend: Backend) -> None:
    await backend.database.stop()
    broken = backend.database.url.set(database="/nowhere/gitward.db")

    away = Database(broken.set(drivername="sqlite").render_as_string())
    answer = await ask(replace(backend, database=away))
    assert answer.status_code == 200
    assert "gitward_ready 0.0" in answer.text
    assert "gitward_places" not in answer.text
    await away.stop()
