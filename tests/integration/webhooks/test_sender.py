"""Messages of the outbox, sent by a worker's sender to real receivers over TLS."""

from __future__ import annotations

import asyncio
import base64
import datetime
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa
from aiohttp import web
from standardwebhooks import Webhook

from certificates import self_signed
from gitward.broker.policy.egress.addresses import Reach
from gitward.runs.upkeep.webhooks.sender import Sender
from gitward.sessions import webhooks
from gitward.sessions.journal import Journal
from gitward.sessions.model import EventType, Owner, RunState, now
from gitward.sessions.new_session import NewSession
from gitward.sessions.places import Places, RunLimits
from gitward.sessions.service import SessionService
from gitward.sessions.webhooks import Callback, Delivery, DeliveryState, Format, Outbox
from gitward.store import schema
from gitward.store.database import Database
from gitward.store.notify import Notifier

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
ALICE, BOB = Owner(issuer="gitward", subject="alice"), Owner(issuer="gitward", subject="bob")
FAILED = {"state": RunState.FAILED, "reason": "task_failed", "message": "exit <code> 1 & more"}
PULL = {"number": 7, "url": "https://github.com/acme/widgets/pull/7", "state": "open", "draft": True}


@dataclass(kw_only=True)
class Receiver:
    """What one server got, and what it answers."""

    port: int = 0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        self.asked.set()
        if self.hangs:
            await asyncio.sleep(3600)
        return web.Response(status=self.status, headers=self.headers, body=b"x" * 100)


Start = Callable[[], Awaitable[Receiver]]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"), ["localhost"])[0]


@pytest_asyncio.fixture
async def start(chain: Path) -> AsyncIterator[Start]:
    """Starts receivers on loopback, by TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain)
    runners: list[web.AppRunner] = []

    async def begin() -> Receiver:
        receiver = Receiver()
        app = web.Application()
        app.router.add_post("/hook", receiver.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        assert runner.addresses
        receiver.port = runner.addresses[0][1]
        return receiver

    yield begin
    for runner in runners:
        await runner.cleanup()


class House:
    """Sessions, their outbox and one sender."""

    def __init__(self, database: Database, chain: Path, *, trusted: tuple[str, ...] = ("127.0.0.1",)) -> None:
        self.database = database
        self.targets: dict[str, Callback] = {}
        self.chain, self.trusted = chain, trusted
        self.senders: list[Sender] = []
        self.sender = self.new_sender()

    def new_sender(self) -> Sender:
        made = Sender(
            self.database,
            targets=self.targets,
            session_url="https://gitward.example/sessions",
            reach=Reach(trusted=self.trusted),
            tls=lambda: ssl.create_default_context(cafile=str(self.chain)),
        )
        self.senders.append(made)
        return made

    def session(self, callback: Callback | None, *, owner: Owner = ALICE) -> str:
        """A session with this callback, and one failed run and one pull request to tell of."""
        notifier = Notifier()
        journal = Journal(notifier, outbox=Outbox(tuple(self.targets)))
        service = SessionService(places=Places(notifier, RunLimits(total=100, per_user=100)), journal=journal)
        with self.database.transaction() as tx:
            new = NewSession(repo="acme/widgets", title="Tidy <b> & up", callback=callback)
            made = service.create_session(tx, owner, new)
            run = made.runs[0].id
            journal.append(
                *(tx, made.id, now()),
                *((EventType.RUN_ENDED, run, FAILED), (EventType.PULL_REQUEST_OPENED, run, PULL)),
            )
        return made.id

    def log(self, session: str) -> list[Delivery]:
        with self.database.snapshot() as tx:
            return [delivery for delivery, _ in webhooks.listed(tx, session)]

    async def settled(self, session: str, *, state: DeliveryState) -> list[Delivery]:
        """Once each of its deliveries has been tried, and is so."""
        async with asyncio.timeout(60):
            while True:
                await self.sender.send_due()
                found = self.log(session)
                if found and all(
                    each.tries and each.state is state and (each.problem or each.status) for each in found
                ):
                    return found
                await asyncio.sleep(0.02)

    def make_due(self, session: str) -> None:
        table = schema.deliveries
        with self.database.transaction() as tx:
            tx.execute(sa.update(table).where(table.c.session_id == session).values(next_at=now()))


@pytest_asyncio.fixture
async def house(database: Database, chain: Path) -> AsyncIterator[House]:
    made = House(database, chain)
    yield made
    for sender in made.senders:
        await sender.stop()


def to(receiver: Receiver, *, format: Format = Format.STANDARD, secret: str | None = SECRET) -> Callback:
    return Callback(url=f"https://localhost:{receiver.port}/hook", secret=secret, format=format)


async def test_a_standard_message_verifies_and_tells_what_happened(house: House, start: Start) -> None:
    receiver = await start()
    session = house.session(to(receiver))
    log = await house.settled(session, state=DeliveryState.DELIVERED)
    bodies: dict[str, Any] = {}
    for headers, body in receiver.got:
        lower = {name.lower(): value for name, value in headers.items()}
        document = Webhook(SECRET).verify(body, lower)
        bodies[document["type"]] = document
        assert lower["webhook-id"] in {each.id for each in log}
        assert lower["host"] == f"localhost:{receiver.port}"
    assert set(bodies) == {"session.needs_attention", "pull_request.opened"}
    attention = bodies["session.needs_attention"]["data"]
    assert (attention["state"], attention["reason"]) == ("failed", "task_failed")
    assert attention["session"]["url"] == f"https://gitward.example/sessions/{session}"
    assert bodies["pull_request.opened"]["data"]["number"] == 7


async def test_slack_gets_text_that_links_nothing_but_ours(house: House, start: Start) -> None:
    receiver = await start()
    await house.settled(house.session(to(receiver, format=Format.SLACK, secret=None)), state=DeliveryState.DELIVERED)
    texts = [json.loads(body)["text"] for _, body in receiver.got]
    assert any("Tidy &lt;b&gt; &amp; up" in text and "exit &lt;code&gt; 1" in text for text in texts)
    assert any(f"<{PULL['url']}|Pull request>" in text for text in texts)
    assert not any("webhook-signature" in {name.lower() for name in headers} for headers, _ in receiver.got)


async def test_ntfy_gets_a_line_with_its_headers(house: House, start: Start) -> None:
    receiver = await start()
    await house.settled(house.session(to(receiver, format=Format.NTFY)), state=DeliveryState.DELIVERED)
    assert {headers["Title"] for headers, _ in receiver.got} == {"Gitward needs you", "Gitward"}
    assert PULL["url"] in {headers["Click"] for headers, _ in receiver.got}


async def test_what_fails_is_sent_again_with_the_same_id(house: House, start: Start) -> None:
    receiver = await start()
    receiver.status = 500
    session = house.session(to(receiver))
    first = await house.settled(session, state=DeliveryState.PENDING)
    assert [(each.status, each.tries, each.problem) for each in first] == [(500, 1, "the receiver answered 500")] * 2
    assert all(each.next_at > now() for each in first)
    await house.sender.send_due()
    assert len(receiver.got) == 2
    receiver.status = 204
    house.make_due(session)
    await house.settled(session, state=DeliveryState.DELIVERED)
    ids = [headers["webhook-id"] for headers, _ in receiver.got]
    assert sorted(ids[:2]) == sorted(ids[2:])


async def test_it_gives_up_in_the_end(house: House, start: Start) -> None:
    receiver = await start()
    receiver.status = 503
    session = house.session(to(receiver))
    for _ in webhooks.PAUSES:
        await house.settled(session, state=DeliveryState.PENDING)
        while house.sender._under_way:  # what comes of them would be noted over what is made due now
            await asyncio.sleep(0.02)
        before = len(receiver.got)
        house.make_due(session)
        async with asyncio.timeout(60):
            while len(receiver.got) < before + 2:
                await house.sender.send_due()
                await asyncio.sleep(0.02)
    log = await house.settled(session, state=DeliveryState.FAILED)
    assert [each.tries for each in log] == [len(webhooks.PAUSES) + 1] * 2


async def test_410_ends_it_at_once(house: House, start: Start) -> None:
    receiver = await start()
    receiver.status = 410
    log = await house.settled(house.session(to(receiver)), state=DeliveryState.FAILED)
    assert {each.tries for each in log} == {1}


@pytest.mark.parametrize(("asked", "seconds"), [("120", 120), ("9999999", 3600), ("soon", 5), ("0", 5)])
async def test_a_receiver_that_wants_a_pause_gets_it_within_reason(
    house: House, start: Start, asked: str, seconds: int
) -> None:
    receiver = await start()
    receiver.status, receiver.headers = 429, {"Retry-After": asked}
    began = now()
    log = await house.settled(house.session(to(receiver)), state=DeliveryState.PENDING)
    waits = [(each.next_at - began).total_seconds() for each in log]
    assert all(seconds <= wait < seconds + 60 for wait in waits)


async def test_each_try_is_signed_anew_at_its_own_time(
    house: House, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a receiver that looks at the time would take a late try for a replay."""
    receiver = await start()
    receiver.status = 500
    session = house.session(to(receiver))
    await house.settled(session, state=DeliveryState.PENDING)
    later = now() + datetime.timedelta(hours=2)
    monkeypatch.setattr("gitward.runs.upkeep.webhooks.sender.now", lambda: later)
    receiver.status = 204
    await house.settled(session, state=DeliveryState.DELIVERED)
    stamps = sorted(int(headers["webhook-timestamp"]) for headers, _ in receiver.got)
    assert stamps[-1] - stamps[0] >= 7000
    headers, body = receiver.got[-1]
    assert headers["webhook-signature"] == Webhook(SECRET).sign(headers["webhook-id"], later, body.decode())


async def test_a_redirect_is_not_followed(house: House, start: Start) -> None:
    receiver, elsewhere = await start(), await start()
    receiver.status, receiver.headers = 307, {"Location": f"https://localhost:{elsewhere.port}/hook"}
    log = await house.settled(house.session(to(receiver)), state=DeliveryState.PENDING)
    assert {each.problem for each in log} == {"the receiver answered 307, and redirects are not followed"}
    assert elsewhere.got == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "169.254.169.254", "10.0.0.1", "0.0.0.0", "2130706433", "localhost"]
)
async def test_addresses_that_are_not_public_are_not_connected_to(
    database: Database, chain: Path, start: Start, host: str
) -> None:
    receiver = await start()
    house = House(database, chain, trusted=())
    callback = Callback(url=f"https://{host}:{receiver.port}/hook", secret=SECRET, format=Format.STANDARD)
    try:
        log = await house.settled(house.session(callback), state=DeliveryState.PENDING)
    finally:
        await house.sender.stop()
    assert {each.problem for each in log} == {f"{host}:{receiver.port} could not be reached (no public address)"}
    assert receiver.got == []


async def test_a_certificate_of_another_name_is_refused(house: House, start: Start) -> None:
    receiver = await start()
    callback = Callback(url=f"https://127.0.0.1:{receiver.port}/hook", secret=SECRET, format=Format.STANDARD)
    log = await house.settled(house.session(callback), state=DeliveryState.PENDING)
    assert {each.problem for each in log} == {f"127.0.0.1:{receiver.port} could not be reached (ConnectError)"}
    assert receiver.got == []


async def test_receivers_that_hang_delay_no_other_owner(house: House, start: Start) -> None:
    hanging, quick = await start(), await start()
    hanging.hangs = True
    for _ in range(10):
        house.session(to(hanging))
    async with asyncio.timeout(60):
        while len(hanging.got) < 3:
            await house.sender.send_due()
            await asyncio.sleep(0.02)
        await house.settled(house.session(to(quick), owner=BOB), state=DeliveryState.DELIVERED)
    assert len(hanging.got) == 3
    assert len(quick.got) == 2


async def test_names_that_hang_take_no_thread_that_runs_need(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    hanging: list[str] = []

    def look_up(host: str, *_: object, **__: object) -> list[object]:
        hanging.append(host)
        released.wait(60)
        raise OSError("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)  # a name server elsewhere that does not answer
    for number in range(12):
        callback = Callback(url=f"https://h{number}.example/", secret=SECRET, format=Format.STANDARD)
        house.session(callback, owner=Owner(issuer="gitward", subject=f"u{number}"))
    try:
        await house.sender.send_due()
        async with asyncio.timeout(30):
            while len(hanging) < 4:
                await asyncio.sleep(0.01)
            assert await asyncio.to_thread(lambda: 1) == 1
        assert len(hanging) == 4
    finally:
        released.set()


async def test_two_workers_send_each_message_once(house: House, start: Start) -> None:
    receiver = await start()
    other = house.new_sender()
    sessions = [house.session(to(receiver), owner=Owner(issuer="gitward", subject=f"u{n}")) for n in range(8)]
    for _ in range(5):
        await asyncio.gather(house.sender.send_due(), other.send_due())
    for session in sessions:
        await house.settled(session, state=DeliveryState.DELIVERED)
    ids = [headers["webhook-id"] for headers, _ in receiver.got]
    assert len(ids) == len(set(ids)) == 16


async def test_the_servers_own_targets_hear_of_every_session(house: House, start: Start) -> None:
    receiver = await start()
    house.targets["server-1"] = to(receiver)
    log = await house.settled(house.session(None), state=DeliveryState.DELIVERED)
    assert {each.target for each in log} == {"server-1"}
    house.targets.clear()


async def test_nothing_is_written_where_nobody_wants_to_know(house: House) -> None:
    assert house.log(house.session(None)) == []


def test_the_test_addresses_are_what_they_seem() -> None:
    assert str(ipaddress.ip_address(2130706433)) == "127.0.0.1"
