"""Nothing that a caller asks for, or that stands in the database, holds the event loop for long.

CPU time of one callback, the best of three: the machine may be as busy as it likes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from api import Api
from gitward.api.request_gate import MAX_BODY
from gitward.sessions import artifacts
from gitward.sessions.artifacts import MAX_BYTES, Origin
from gitward.sessions.model import ArtifactKind, EventType, Instruction, Owner, StepName, StepState, new_id, now
from gitward.sessions.new_session import NewSession
from gitward.sessions.progress import Hold
from gitward.sessions.session_list import SessionFilter
from gitward.store import schema
from held_loops import longest

pytestmark = pytest.mark.holds_the_loop("it measures by itself, and makes what is large in its own steps")
MOST_SECONDS = 0.1


class Watched:
    """Calls of the application without a client in between: that would parse and copy in the same steps.

    `size` is how many bytes the present or last call has answered; `more` is set by each piece.
    """

    def __init__(self, api: Api, owner: Owner) -> None:
        self.size = 0
        self.more = asyncio.Event()
        self._api = api
        self._headers = [(b"authorization", f"Bearer {api.jwt(owner)}".encode()), (b"host", b"localhost")]

    async def __call__(
        self, method: str, path: str, *, query: str = "", body: bytes = b"", accept: str = "*/*"
    ) -> tuple[int, int]:
        """Status, and how many bytes came."""
        pending = [{"type": "http.request", "body": body, "more_body": False}]
        status = self.size = 0

        async def receive() -> Any:
            if not pending:
                await asyncio.Event().wait()
            return pending.pop()

        async def send(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            self.size += len(message.get("body", b""))
            self.more.set()
            await asyncio.sleep(0)  # as a server does, now and then, when it waits for its client

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [*self._headers, (b"accept", accept.encode())],
        }
        await self._api.app(scope, receive, send)
        return status, self.size

    async def sent(self, size: int) -> None:
        """Waits until the present call has answered so many bytes."""
        async with asyncio.timeout(60):
            while self.size < size:
                self.more.clear()
                await self.more.wait()


@pytest.fixture
def call(api: Api, alice: Owner) -> Watched:
    return Watched(api, alice)


async def holds_nobody(work: Callable[[], Awaitable[tuple[int, int]]], *, status: int, size: int = 0) -> None:
    """:param size: so many bytes at least must come, or the test proves nothing."""
    await work()  # what happens once: compiled statements, caches

    async def checked() -> None:
        got = await work()
        assert got[0] == status
        assert got[1] >= size

    assert await longest(checked, enough=MOST_SECONDS) < MOST_SECONDS


COMMAND = "printf '%s' \"" + "x" * 1000 + '"'
OUTPUT = "ü" * 16_384  # as long as one event of output is


def make_sessions(api: Api, owner: Owner, number: int, runs: int) -> None:
    new = NewSession(repo="acme/widgets", instruction=Instruction(command=COMMAND))
    with api.backend.database.transaction() as tx:
        for _ in range(number):
            session = api.backend.sessions.create_session(tx, owner, new)
            row = tx.execute(sa.select(schema.runs).where(schema.runs.c.session_id == session.id)).one()._asdict()
            more = [{**row, "id": new_id("run"), "number": each} for each in range(2, runs + 1)]
            tx.execute(sa.insert(schema.runs), more)
            tx.execute(sa.insert(schema.steps), [step for each in (row, *more) for step in steps_of(each["id"])])


def steps_of(run_id: str) -> list[dict[str, Any]]:
    """All that a run has."""
    row = {"run_id": run_id, "state": StepState.SUCCEEDED, "started_at": now(), "seconds": 1.5}
    return [{**row, "name": name, "position": position} for position, name in enumerate(StepName)]


async def test_a_page_of_200_sessions_with_20_runs_each(api: Api, alice: Owner, call: Watched) -> None:
    await asyncio.to_thread(make_sessions, api, alice, 200, 20)
    await holds_nobody(lambda: call("GET", "/sessions", query="limit=200"), status=200, size=8 * 2**20)


async def test_a_session_with_a_hundred_runs(api: Api, alice: Owner, call: Watched) -> None:
    await asyncio.to_thread(make_sessions, api, alice, 1, 250)
    with api.backend.database.snapshot() as tx:
        session = api.backend.sessions.list_sessions(tx, alice, SessionFilter()).items[0]
    path = f"/sessions/{session.id}"
    await holds_nobody(lambda: call("GET", path), status=200, size=200_000)
    await holds_nobody(lambda: call("GET", f"{path}/runs", query="limit=200"), status=200, size=400_000)
    await holds_nobody(lambda: call("PATCH", path, body=b'{"title":"x"}'), status=200, size=200_000)
    await holds_nobody(lambda: call("POST", f"{path}/cancel"), status=200, size=200_000)


async def claimed(api: Api, http: httpx2.AsyncClient) -> Hold:
    session = (await http.post("/sessions", json={"repo": "owner/repo"})).json()
    with api.backend.database.transaction() as tx:
        return api.backend.progress().take(tx, session["runs"][0]["id"])


def tell(api: Api, claim: Hold, texts: Sequence[str]) -> None:
    with api.backend.database.transaction() as tx:
        api.backend.progress().record(tx, claim, *((EventType.OUTPUT, {"text": text}) for text in texts))


async def test_a_session_with_thousands_of_events(api: Api, http: httpx2.AsyncClient, call: Watched) -> None:
    """As pages, as the stream of a run that has ended, and live."""
    claim = await claimed(api, http)
    for _ in range(2):
        await asyncio.to_thread(tell, api, claim, [OUTPUT] * 500)
    path = f"/sessions/{claim.session.id}/events"
    await holds_nobody(lambda: call("GET", path, query="limit=200"), status=200, size=6 * 2**20)

    told = 1000

    async def live() -> tuple[int, int]:
        nonlocal told
        streaming = asyncio.create_task(call("GET", path, query=f"after={told - 300}", accept="text/event-stream"))
        await asyncio.to_thread(tell, api, claim, [OUTPUT] * 200)
        told += 200
        await call.sent(500 * len(json.dumps(OUTPUT)))
        api.stopping.set()
        try:
            return await streaming
        finally:
            api.stopping.clear()

    await holds_nobody(live, status=200, size=8 * 2**20)
    await api.backend.end(claim.run.id)
    query = f"run_id={claim.run.id}"
    await holds_nobody(lambda: call("GET", path, query=query, accept="text/event-stream"), status=200, size=80 * 2**20)


@pytest.mark.parametrize("kind", [ArtifactKind.DIFF, ArtifactKind.PATCH, ArtifactKind.BUNDLE])
async def test_artifacts_of_10_mib(api: Api, http: httpx2.AsyncClient, call: Watched, kind: ArtifactKind) -> None:
    claim = await claimed(api, http)
    with api.backend.database.transaction() as tx:
        artifacts.store(tx, Origin(run_id=claim.run.id, attempt=1), kind, b"x" * MAX_BYTES)
    await api.backend.end(claim.run.id)
    await holds_nobody(lambda: call("GET", f"/sessions/{claim.session.id}/{kind}"), status=200, size=MAX_BYTES)


def filled(opening: bytes, item: bytes, closing: bytes) -> bytes:
    """As long as a body may be."""
    return opening + item * ((MAX_BODY - len(opening) - len(closing)) // len(item)) + closing


BODIES: dict[str, bytes] = {
    "1,000 labels": json.dumps({"repo": "a/b", "labels": [f"label {n}" for n in range(1000)]}).encode(),
    "a label a thousand times as long": json.dumps({"repo": "a/b", "labels": ["x" * 50_000]}).encode(),
    "empty objects": filled(b'{"repo":"a/b","labels":[', b"{},", b"{}]}"),
    "empty arrays": filled(b'{"repo":"a/b","labels":[', b"[],", b"[]]}"),
    "numbers": filled(b"[", b"1,", b"1]"),
    "many names": b'{"repo":"a/b"' + b"".join(b',"n%d":1' % n for n in range(80_000)) + b"}",
    "many variables": b'{"repo":"a/b","env":{"a":"b"' + b"".join(b',"n%d":""' % n for n in range(70_000)) + b"}}",
    "a long number": filled(b'{"repo":"a/b","timeout_seconds":1', b"0", b"}"),
    "a long text": filled(b'{"repo":"a/b","command":"', b"x", b'"}'),
    "a long title of marks": filled(b'{"repo":"a/b","title":"', "\u0300".encode(), b'"}'),
    "escapes": filled(b'{"repo":"a/b","command":"', b"\\u00e4", b'"}'),
    "tokens": filled(b'{"repo":"a/b","env":{"A":"', b"ghs_", b'"}}'),
    "deep": filled(b"", b"[", b""),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_body_that_is_as_long_as_may_be(call: Watched, body: bytes) -> None:
    await holds_nobody(lambda: call("POST", "/sessions", body=body), status=422)


async def test_the_most_that_a_body_may_ask_for(call: Watched) -> None:
    """All variables, each as long as fits."""
    env = {f"NAME_{number}": "ghs_ " * 2900 for number in range(64)}
    body = json.dumps({"repo": "a/b", "command": "x\n" * 30_000, "env": env}).encode()
    assert len(body) > 0.9 * MAX_BODY
    await holds_nobody(lambda: call("POST", "/sessions", body=body), status=201)


async def test_the_description(api: Api, call: Watched) -> None:
    """Made when it is first asked for, by a stranger perhaps."""
    assert await longest(lambda: call("GET", "/openapi.json")) < MOST_SECONDS
    assert await longest(lambda: call("GET", "/docs")) < MOST_SECONDS
