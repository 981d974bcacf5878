"""A session's callback through the real service: who may name one, what the log tells, and what nobody sees."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from rig import Json, Rig, warm_rig

SECRET = "whsec_" + base64.b64encode(b"CANARY" * 5).decode()
PATH = "/services/T0/path-that-is-secret"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hooked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """A service that allows callbacks to this machine's name, which no sender connects to, and has one of its own."""
    file = tmp_path_factory.mktemp("webhooks") / "webhooks"
    file.write_text(f"https://localhost:9/{PATH} slack\n")
    async with warm_rig(GITWARD_CALLBACK_HOSTS="localhost:9, *.example.test", GITWARD_WEBHOOKS_FILE=str(file)) as made:
        yield made


async def tried(hooked: Rig, session: Json, subject: str) -> list[Json]:
    """The delivery log, once each has been tried."""
    async with hooked.client(subject) as client, asyncio.timeout(60):
        while True:
            items: list[Json] = (await client.get(f"/sessions/{session['id']}/deliveries"))["items"]
            if items and all(item["problem"] for item in items):
                return items
            await asyncio.sleep(0.1)


async def test_the_log_tells_why_nothing_arrived_and_no_answer_tells_the_secret(hooked: Rig) -> None:
    repository = await hooked.repository()
    async with hooked.client() as client:
        body = {"callback_url": f"https://localhost:9{PATH}", "callback_secret": SECRET}
        session, _, events = await client.run(repository, "echo x > x.txt", **body)
        log = await tried(hooked, session, "alice")
        answers = [await client.http.get(f"/sessions/{session['id']}{path}") for path in ("", "/events", "/deliveries")]
    assert {item["type"] for item in log} == {"run.ended", "pull_request.opened"}
    assert len(log) == 4
    assert {item["target"] for item in log if not item["target"].startswith("server-")} == {"localhost:9"}
    assert {item["problem"] for item in log} == {"localhost:9 could not be reached (no public address)"}
    assert {item["state"] for item in log} == {"pending"}
    texts = [answer.text for answer in answers] + [str(events), hooked.log.read_text()]
    assert not [text for text in texts if SECRET in text or "path-that-is-secret" in text]
    async with hooked.client("bob") as bob:
        await bob.get(f"/sessions/{session['id']}/deliveries", 404)


@pytest.mark.parametrize(
    ("body", "field", "why"),
    [
        ({"callback_url": "https://evil.example/x"}, "callback_url", "must lead to a host"),
        ({"callback_url": "https://example.test/x"}, "callback_url", "must lead to a host"),
        (
            {"callback_url": "https://a.example.test:8443/"},
            "callback_url",
            "must lead to a host that this server allows",
        ),
        ({"callback_url": "http://localhost:9/x"}, "callback_url", "https://"),
        ({"callback_url": "https://localhost:9/x", "callback_secret": "short"}, "callback_secret", "must be whsec_"),
        ({"callback_secret": SECRET}, "callback_secret", "needs a callback_url"),
        ({"callback_url": "https://localhost:9/x", "callback_format": "xml"}, "callback_format", "standard"),
    ],
)
async def test_a_callback_that_is_not_allowed_is_refused(hooked: Rig, body: Json, field: str, why: str) -> None:
    async with hooked.client() as client:
        answer = await client.http.post("/sessions", json={"repo": "acme/widgets", **body})
    assert answer.status_code == 422
    problem = answer.json()["errors"][0]
    assert problem["field"] == field
    assert why in problem["message"]


async def test_without_the_setting_no_callback_is_taken(there: Rig) -> None:
    async with there.client() as client:
        answer = await client.http.post(
            "/sessions", json={"repo": "acme/widgets", "callback_url": "https://x.example/"}
        )
    assert answer.status_code == 422
    assert "GITWARD_CALLBACK_HOSTS" in answer.json()["errors"][0]["message"]
