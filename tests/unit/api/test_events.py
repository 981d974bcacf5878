"""The log of a session as pages and as a stream that can be resumed without gap or repeat."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from api import Api, expiry_of, fields, past, problem
from gitward.api.events import EXPIRED
from gitward.identity.verifier import LEEWAY_SECONDS
from gitward.sessions.live_events import PAGE
from gitward.sessions.model import EventType, Owner, RunState, now
from gitward.sessions.progress import Hold, Outcome

Json = dict[str, Any]
STREAM = {"Accept": "text/event-stream"}


@dataclass(frozen=True, kw_only=True)
class Log:
    """A session whose first run is in progress, and the address of its log."""

    api: Api
    session: Json
    claim: Hold

    @property
    def url(self) -> str:
        return f"/sessions/{self.session['id']}/events"

    @property
    def run_id(self) -> str:
        return str(self.session["runs"][0]["id"])

    async def note(self, *texts: str) -> None:
        with self.api.backend.database.transaction() as tx:
            entries = [(EventType.NOTICE, {"message": text}) for text in texts]
            self.api.backend.progress().record(tx, self.claim, *entries)

    async def note_of_the_session(self) -> None:
        with self.api.backend.database.transaction() as tx:
            self.api.backend.journal.append(tx, self.session["id"], now(), (EventType.NOTICE, None, {}))

    async def end(self) -> None:
        with self.api.backend.database.transaction() as tx:
            outcome = Outcome(state=RunState.SUCCEEDED, message="Done.")
            self.api.backend.progress().settle(tx, self.claim, outcome)


@pytest.fixture
async def log(api: Api, http: httpx2.AsyncClient) -> AsyncIterator[Log]:
    session = (await http.post("/sessions", json={"repo": "owner/repo"})).json()
    with api.backend.database.transaction() as tx:
        claim = api.backend.progress().take(tx, session["runs"][0]["id"])
    async with asyncio.timeout(60):
        yield Log(api=api, session=session, claim=claim)


def parse(text: str) -> list[Json]:
    """The events of a stream, as the specification of server-sent events reads them."""
    events = []
    for block in text.split("\n\n")[:-1]:
        lines = [line for line in block.split("\n") if not line.startswith(":")]
        if lines:
            named = dict(line.split(": ", 1) for line in lines)
            assert set(named) == {"id", "event", "data"}
            event = json.loads(named["data"])
            assert (named["id"], named["event"]) == (str(event["seq"]), event["type"])
            events.append(event)
    return events


class TestPages:
    async def test_events_have_the_shape_of_the_contract(self, http: httpx2.AsyncClient, log: Log) -> None:
        page = (await http.get(log.url)).json()
        assert set(page) == {"items", "next"}
        assert [set(event) for event in page["items"]] == [{"seq", "at", "type", "run_id", "data"}] * 3
        assert [(event["seq"], event["type"]) for event in page["items"]] == [
            (1, "session.created"),
            (2, "run.queued"),
            (3, "run.started"),
        ]

    async def test_pages_follow_one_another(self, http: httpx2.AsyncClient, log: Log) -> None:
        await log.note(*map(str, range(7)))
        seen: list[int] = []
        after: str | None = "0"
        while after is not None:
            page = (await http.get(log.url, params={"after": after, "limit": 3})).json()
            seen += [event["seq"] for event in page["items"]]
            after = page["next"]
        assert seen == list(range(1, 11))

    async def test_a_page_of_one_run(self, http: httpx2.AsyncClient, log: Log) -> None:
        page = (await http.get(log.url, params={"run_id": log.run_id})).json()
        assert [event["run_id"] for event in page["items"]] == [log.run_id] * 2
        problem(await http.get(log.url, params={"run_id": "run_0000000000000000"}), 404, "not_found")

    @pytest.mark.parametrize(
        ("query", "field"),
        [({"after": "-1"}, "after"), ({"after": str(2**31)}, "after"), ({"limit": "201"}, "limit")],
    )
    async def test_wrong_parameters_are_told(
        self, http: httpx2.AsyncClient, log: Log, query: dict[str, str], field: str
    ) -> None:
        assert fields(await http.get(log.url, params=query)) == [field]


class TestStream:
    async def test_a_stream_of_a_run_ends_with_it(self, http: httpx2.AsyncClient, log: Log) -> None:
        """What was written before and what is written while it is read, in order, and nothing of others."""
        answering = asyncio.create_task(http.get(log.url, params={"run_id": log.run_id}, headers=STREAM))
        for number in range(20):
            await log.note(f"{number}a", f"{number}b")
            await log.note_of_the_session()
        await log.end()
        await log.note_of_the_session()
        answer = await answering
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        events = parse(answer.text)
        assert [event["type"] for event in events] == ["run.queued", "run.started", *["notice"] * 40, "run.ended"]
        assert [event["data"].get("message") for event in events[2:-1]] == [
            f"{number}{letter}" for number in range(20) for letter in "ab"
        ]

    async def test_a_stream_goes_on_after_the_last_event_that_was_seen(
        self, http: httpx2.AsyncClient, log: Log
    ) -> None:
        await log.note("one", "two")
        await log.end()
        whole = parse((await http.get(log.url, params={"run_id": log.run_id}, headers=STREAM)).text)
        for number, event in enumerate(whole):
            headers = {**STREAM, "Last-Event-ID": str(event["seq"])}
            rest = await http.get(log.url, params={"run_id": log.run_id}, headers=headers)
            assert parse(rest.text) == whole[number + 1 :]

    async def test_readers_that_come_and_go_see_each_event_once(self, http: httpx2.AsyncClient, log: Log) -> None:
        """While events are written all the time, a reader is cut off again and again and resumes."""
        written = asyncio.create_task(write(log, 30))
        seen: list[int] = []
        while not written.done() or not seen or seen[-1] < 3 + 30:
            log.api.stopping.clear()
            headers = {**STREAM, "Last-Event-ID": str(seen[-1] if seen else 0)}
            reading = asyncio.create_task(http.get(log.url, headers=headers))
            with log.api.backend.notifier.subscribe(log.session["id"]) as news:
                await news.wait(0.2)
            log.api.stopping.set()
            seen += [event["seq"] for event in parse((await reading).text)]
        await written
        assert seen == list(range(1, 3 + 30 + 1))

    async def test_more_than_a_page_is_streamed_whole(self, http: httpx2.AsyncClient, log: Log) -> None:
        """Also when the run's last event is just the last of a page."""
        for extra in (PAGE - 3, 2 * PAGE):
            await log.note(*map(str, range(extra)))
        await log.end()
        events = parse((await http.get(log.url, params={"run_id": log.run_id}, headers=STREAM)).text)
        assert [event["seq"] for event in events] == list(range(2, 2 + len(events)))
        assert len(events) == 2 + 3 * PAGE - 3 + 1

    async def test_a_stream_of_the_session_goes_on_after_a_run_and_ends_with_the_server(
        self, http: httpx2.AsyncClient, log: Log
    ) -> None:
        answering = asyncio.create_task(http.get(log.url, headers=STREAM))
        await log.end()
        with log.api.backend.notifier.subscribe(log.session["id"]) as news:
            await log.note_of_the_session()
            await news.wait(20)
        assert not answering.done()
        log.api.stopping.set()
        events = parse((await answering).text)
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))

    async def test_a_server_that_is_stopping_begins_no_stream(self, http: httpx2.AsyncClient, log: Log) -> None:
        log.api.stopping.set()
        answer = await http.get(log.url, headers={"Accept": "Text/Event-Stream, */*"})
        assert (answer.status_code, parse(answer.text)) == (200, [])

    @pytest.mark.parametrize("cursor", ["x", "-1", "1.0", "²", str(2**31), "9" * 30])
    async def test_a_cursor_that_is_no_event_is_told(self, http: httpx2.AsyncClient, log: Log, cursor: str) -> None:
        headers = [(b"Accept", b"text/event-stream"), (b"Last-Event-ID", cursor.encode())]
        assert [name.lower() for name in fields(await http.get(log.url, headers=headers))] == ["last-event-id"]

    async def test_text_with_every_kind_of_line_break_stays_one_event(self, http: httpx2.AsyncClient, log: Log) -> None:
        text = "a\nb\r\nc\rd\u2028e\u0085f\n\ndata: forged\n\n"
        await log.note(text)
        await log.end()
        events = parse((await http.get(log.url, params={"run_id": log.run_id}, headers=STREAM)).text)
        assert events[2]["data"] == {"message": text}
        assert len(events) == 4

    async def test_a_stream_ends_when_its_session_is_gone(
        self, api: Api, http: httpx2.AsyncClient, log: Log, alice: Owner
    ) -> None:
        """Removed by retention, for example."""
        answering = asyncio.create_task(http.get(log.url, headers=STREAM))
        while not api.backend.notifier._waiting:
            await asyncio.sleep(0)
        with api.backend.database.transaction() as tx:
            tx.connection.exec_driver_sql("DELETE FROM sessions")
        api.backend.notifier.notify(log.session["id"])
        assert (await answering).status_code == 200


async def write(log: Log, number: int) -> None:
    for each in range(number):
        await log.note(str(each))


class TestTokenOfAStream:
    async def test_a_stream_ends_with_its_token_and_says_so(self, log: Log, alice: Owner) -> None:
        """The session goes on; a client that comes back with a new token misses nothing."""
        lifetime = timedelta(seconds=2)
        async with client_of(log.api, alice, lifetime) as client:
            answering = asyncio.create_task(client.get(log.url, headers=STREAM))
            await log.note("before")
            text = (await answering).text
        assert text.startswith(": connected\n\n")
        assert text.endswith(EXPIRED.decode())
        seen = parse(text)
        await log.note("after")
        await log.end()
        async with log.api.client(alice) as client:
            last = str(seen[-1]["seq"])
            more = await client.get(log.url, params={"run_id": log.run_id}, headers={**STREAM, "Last-Event-ID": last})
        told = [event["seq"] for event in (*seen, *parse(more.text))]
        assert told == list(range(1, len(told) + 1))
        assert EXPIRED not in more.content

    async def test_one_that_is_let_in_late_is_not_let_in_for_ever(self, log: Log, alice: Owner) -> None:
        """Clocks differ: requests are let in for a minute after `exp`, and a stream no longer either."""
        late = timedelta(seconds=2 - LEEWAY_SECONDS)
        async with client_of(log.api, alice, late) as client:
            text = (await client.get(log.url, headers=STREAM)).text
            assert parse(text)
            assert text.endswith(EXPIRED.decode())

    async def test_a_past_that_is_read_slowly_ends_too(self, log: Log, alice: Owner) -> None:
        """The rows of a run that has ended, for a client that takes its time."""
        await log.note(*map(str, range(300)))
        await log.end()
        sent: list[Any] = []

        async def receive() -> Any:
            await asyncio.Event().wait()

        token = log.api.jwt(alice, timedelta(seconds=2))

        async def send(message: Any) -> None:
            sent.append(message)
            if len(sent) == 5:
                await past(expiry_of(token))

        headers = [(b"accept", b"text/event-stream"), (b"authorization", f"Bearer {token}".encode())]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "path": log.url,
            "raw_path": log.url.encode(),
            "query_string": f"run_id={log.run_id}".encode(),
            "root_path": "",
            "headers": headers,
        }
        pending = [{"type": "http.request", "body": b"", "more_body": False}]

        async def first() -> Any:
            return pending.pop() if pending else await receive()

        await log.api.app(scope, first, send)
        bodies = [message["body"] for message in sent if message["type"] == "http.response.body" and message["body"]]
        assert bodies[-1] == EXPIRED
        assert len(bodies) < 10


def client_of(api: Api, owner: Owner, lifetime: timedelta) -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {api.jwt(owner, lifetime)}"}
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(api.app), base_url="http://localhost", headers=headers)
