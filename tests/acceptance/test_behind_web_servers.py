"""nginx and Caddy before Gitward, by the files of deploy/: events come at once, people sign in, metrics stay inside."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from command_line import gitward
from rig import RUN_SECONDS, Client, Rig, warm_rig
from web_servers import NAME, NGINX_FILE, URL, WebServer, web_server


@dataclass(frozen=True, kw_only=True)
class Front:
    """A service, and what stands before it."""

    service: Rig
    server: WebServer

    def client(self) -> httpx2.AsyncClient:
        return self.server.client(Authorization=f"Bearer {self.service.jwt()}")


@pytest_asyncio.fixture(loop_scope="session", scope="module", params=["nginx", "caddy"])
async def front(request: pytest.FixtureRequest) -> AsyncIterator[Front]:
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gitward-front-")))
        service = await stack.enter_async_context(warm_rig(GITWARD_PUBLIC_URL=URL, GITWARD_HOST="127.0.0.1"))
        server = await stack.enter_async_context(web_server(request.param, folder, service.url))
        yield Front(service=service, server=server)


async def test_an_event_arrives_while_the_run_goes_on(front: Front) -> None:
    """A run that says one word and goes on: whatever gathers answers first would never pass that on."""
    repository = await front.service.repository()
    seen: list[str] = []
    async with front.client() as http, asyncio.timeout(RUN_SECONDS):
        client = Client(http)
        session = await client.session(repository, command="echo said; sleep 100000")
        async for event in client.stream(session):
            seen.append(event["type"])
            if event["type"] == "output" and "said" in event["data"]["text"]:
                assert (await http.post(f"/sessions/{session['id']}/cancel")).is_success
    assert seen[-1] == "run.ended"


async def test_a_stream_continues_after_the_last_event_that_was_seen(front: Front) -> None:
    repository = await front.service.repository()
    async with front.client() as http:
        client = Client(http)
        session = await client.session(repository, command="true")
        _, events = await client.finished(session)
        again = [event async for event in client.stream(session, after=events[-2]["seq"])]
    assert again == events[-1:]


async def test_a_person_signs_in_by_a_link_and_gets_a_cookie_for_https(front: Front) -> None:
    code, out, err = await gitward("sign-in", cwd=front.service.root, **front.service.environment)
    assert code == 0, err
    link = out.strip()
    assert link.startswith(f"{URL}/sign-in?link=")
    async with front.server.client(Origin=URL, Accept="text/html") as browser:
        form = await browser.get(link)
        fields = dict(re.findall(r'name="(link|next)" value="([^"]*)"', form.text))
        answer = await browser.post("/sign-in", data=fields)
        assert answer.status_code == 303, answer.text
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-")
        assert "Secure" in cookie
        assert (await browser.get("/")).status_code == 200


async def test_metrics_are_for_nobody_who_comes_this_way(front: Front) -> None:
    async with front.server.client() as http:
        assert (await http.get("/metrics")).status_code == 401
        assert (await http.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"})).status_code == 401
        assert (await http.get("/health")).json() == {"status": "ok"}


async def test_a_body_that_is_too_large_is_refused_with_a_sentence_of_ours(front: Front) -> None:
    async with front.client() as http:
        answer = await http.post("/sessions", content=json.dumps({"repo": "x" * 1_100_000}))
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_browser_speaks_http_2_so_that_many_pages_may_stay_open(front: Front) -> None:
    assert await asyncio.to_thread(front.server.agreed_protocol) == "h2"


async def test_plain_http_leads_to_the_name(front: Front) -> None:
    async with httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"http://127.0.0.1:{front.server.plain_port}/s/x?y=1", headers={"Host": NAME})
    assert answer.status_code == 308
    assert re.fullmatch(rf"{URL}(:{front.server.port})?/s/x\?y=1", answer.headers["location"])


def test_nginx_gathers_nothing_and_waits_long() -> None:
    """Gitward asks for the same by X-Accel-Buffering, which a directive elsewhere may switch off."""
    text = NGINX_FILE.read_text()
    for line in ("proxy_buffering off;", "proxy_http_version 1.1;", "proxy_read_timeout 1h;"):
        assert line in text
