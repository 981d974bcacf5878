"""What a request costs the database, in statements: BEGIN and COMMIT are not counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from api import Api, make_api
from gitward.errors import Reason
from gitward.sessions import artifacts
from gitward.sessions.artifacts import Origin
from gitward.sessions.model import ArtifactKind, EventType, Owner, RunState
from gitward.sessions.places import Places, RunLimits
from gitward.sessions.progress import Outcome
from gitward.sessions.service import SessionService
from gitward.store.database import Database
from tests_support import Backend

# One of each is the line of the audit log.
MOST_OF_A_POST, MOST_OF_AN_EVENT = 8, 3
MOST_OF_A_PUBLISH, MOST_OF_A_CANCEL = 11, 11
BODY = {"repo": "acme/widgets", "target_branch": "main", "command": "true"}


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements of the block, in their order."""
    statements: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("BEGIN"):
            statements.append(statement)

    sa.event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        sa.event.remove(database.engine, "before_cursor_execute", note)


async def post(
    http: httpx2.AsyncClient, backend: Backend, path: str, body: dict[str, Any] | None = None, **headers: str
) -> list[str]:
    """The statements of one POST that makes something."""
    with counted(backend.database) as statements:
        answer = await http.post(path, json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return statements


@pytest.mark.parametrize("places", [100, 1])
async def test_a_post(backend: Backend, alice: Owner, places: int) -> None:
    """Of a session, a follow-up and a retry, with a free place and without."""
    limited = Places(backend.notifier, RunLimits(total=places, per_user=places))
    backend = replace(backend, places=limited, sessions=SessionService(places=limited, journal=backend.journal))
    api: Api = make_api(backend)
    async with api.client(alice) as http:
        await post(http, backend, "/sessions", BODY)  # the first turn of a user is one row more
        costs = {"session": await post(http, backend, "/sessions", BODY)}
        costs["session with a key"] = await post(http, backend, "/sessions", BODY, **{"Idempotency-Key": "k"})
        session = (await http.post("/sessions", json=BODY)).json()
        path = f"/sessions/{session['id']}/runs"
        costs["follow-up that waits"] = await post(http, backend, path, {"command": "true"})
        await http.post(f"/sessions/{session['id']}/cancel")
        costs["follow-up"] = await post(http, backend, path, {"command": "true"})
        await http.post(f"/sessions/{session['id']}/cancel")
        run = session["runs"][0]["id"]
        costs["retry"] = await post(http, backend, f"{path}/{run}/retry")
    counts = {what: len(statements) for what, statements in costs.items()}
    assert max(counts.values()) <= MOST_OF_A_POST, costs
    assert min(counts.values()) > 2, "they are counted"


async def test_what_is_published_and_cancelled(backend: Backend, alice: Owner) -> None:
    """A run that is published anew, and a session with one run that is queued, or runs."""
    api: Api = make_api(backend)
    session = await backend.create(alice)
    progress = backend.progress()
    claim = await backend.database.write(lambda tx: progress.take(tx, session.runs[0].id))
    origin = Origin(run_id=claim.run.id, attempt=claim.attempt)
    await backend.database.write(lambda tx: artifacts.store(tx, origin, ArtifactKind.BUNDLE, b"bundle"))
    async with api.client(alice) as http:
        path = f"/sessions/{session.id}"
        with counted(backend.database) as running:
            assert (await http.post(f"{path}/cancel")).json()["state"] == "cancelling"
        settled = Outcome(state=RunState.FAILED, reason=Reason.PUSH_REJECTED, message="x", changed=True)
        await backend.database.write(lambda tx: progress.settle(tx, claim, settled))
        published = await post(http, backend, f"{path}/runs/{claim.run.id}/publish")
        with counted(backend.database) as queued:
            assert (await http.post(f"{path}/cancel")).json()["state"] == "cancelled"
    assert len(published) <= MOST_OF_A_PUBLISH, published
    assert max(len(running), len(queued)) <= MOST_OF_A_CANCEL, (running, queued)
    assert min(len(each) for each in (published, running, queued)) > 2, "they are counted"


async def test_an_event(backend: Backend, alice: Owner) -> None:
    session = await backend.create(alice)
    progress = backend.progress()
    claim = await backend.database.write(lambda tx: progress.take(tx, session.runs[0].id))
    with counted(backend.database) as statements:
        await backend.database.write(lambda tx: progress.record(tx, claim, (EventType.OUTPUT, {"text": "x"})))
    assert len(statements) <= MOST_OF_AN_EVENT, statements
    with counted(backend.database) as statements:
        await backend.database.write(lambda tx: progress.record(tx, claim, *[(EventType.OUTPUT, {"text": "x"})] * 50))
    assert len(statements) <= MOST_OF_AN_EVENT, statements
