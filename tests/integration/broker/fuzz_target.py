"""A broker and an upstream that notes what arrives: what the fuzz sends its requests to."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from aiohttp import web

from gitward.broker import InjectConfig
from gitward.grants.grant import ExactPush

from .conftest import BRANCH, TOKEN, new_grant
from .fuzzing import Asked
from .oracle import LISTED, MODEL_HOST, MODEL_PATHS, MOST_SECONDS, Received, beyond, is_a_question
from .reaches import LFS_OID, NEW, OLD, OPENED, OWN_ISSUE, PEOPLE, Reach, node_of, pull_by_rest
from .wire import Answer, Wire, read_answer, wired

_TRIES = 3  # of a request that seems to cost too much: the machine may be busy
_A_PULL = "/api/v3/repos/octo/demo/pulls/"
_REFUSED = {HTTPStatus.UPGRADE_REQUIRED, HTTPStatus.BAD_REQUEST, 0}


@dataclass
class Upstream:
    """A server that says yes to everything."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    opened: bool = False  # whether it has made an issue

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = b""
        with contextlib.suppress(ConnectionError):  # the broker breaks off what turns out to be broken
            while piece := await request.content.readany():
                body += piece
        path, _, query = request.raw_path.partition("?")
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(method=request.method, path=path, query=query, headers=headers, body=body))
        return web.Response(body=self._content(request.method, path, body), content_type="application/json")

    def _content(self, method: str, path: str, body: bytes) -> bytes:
        if path.endswith("/graphql") and b"nodes(ids" in body:
            ids = json.loads(body)["variables"]["ids"]
            return json.dumps({"data": {"nodes": [node_of(node_id) for node_id in ids]}}).encode()
        if path.endswith("/graphql") and b"l0:user(login:$l0)" in body:
            logins = json.loads(body)["variables"]
            people = {name: {"__typename": "User"} if login in PEOPLE else None for name, login in logins.items()}
            return json.dumps({"data": people}).encode()
        if method == "GET" and path.startswith(_A_PULL) and path.removeprefix(_A_PULL).isdecimal():
            return json.dumps(pull_by_rest(int(path.removeprefix(_A_PULL)))).encode()
        if method == "POST" and path.endswith("/repos/octo/demo/issues"):
            self.opened = True
            return json.dumps({"number": OPENED}).encode()
        if path.endswith("/objects/batch"):
            actions = {"download": {"href": f"{self.url}/storage?signature=s3cret", "header": {}}}
            return json.dumps({"objects": [{"oid": "a" * 64, "size": 1, "actions": actions}]}).encode()
        return b"{}"


@contextlib.asynccontextmanager
async def upstream() -> AsyncIterator[Upstream]:
    one = Upstream()
    runner = web.ServerRunner(web.Server(one.answer, access_log=None))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    one.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield one
    finally:
        await runner.cleanup()


@dataclass
class Counts:
    """How requests ended."""

    sent: int = 0
    forwarded: int = 0  # upstream received it, and the sandbox got upstream's answer
    refused: int = 0  # answered with 4xx, and upstream received nothing of it

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            sent=self.sent + other.sent,
            forwarded=self.forwarded + other.forwarded,
            refused=self.refused + other.refused,
        )

    @property
    def balanced(self) -> bool:
        """Neither is nearly all refused, nor nearly all harmless: a fifth of each at least."""
        return min(self.forwarded, self.refused) * 5 >= self.sent > 0


class Target:
    """A broker with its upstream. Requests go over one kept connection, unless they are to break it."""

    def __init__(self, wire: Wire, upstream: Upstream, reach: Reach) -> None:
        self._reach = reach
        self.counts: defaultdict[str, Counts] = defaultdict(Counts)  # by the kind of the request
        self._wire = wire
        self._upstream = upstream
        self._kept: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def beyond(self, request: Asked, granted: str = BRANCH) -> list[str]:
        """What upstream received of it beyond the grant of a branch."""
        self._upstream.received.clear()
        opened = frozenset({OPENED} if self._upstream.opened else ())
        self._wire.events.clear()
        seconds, answer = await self._timed(request)
        received = [one for one in self._upstream.received if not is_a_question(one, request.line)]
        reached = bool(received)
        self.counts[request.kind] += Counts(
            sent=1,
            forwarded=int(reached and answer.status == HTTPStatus.OK),
            refused=int(not reached and 400 <= answer.status < 500),
        )
        assert answer.status != HTTPStatus.INTERNAL_SERVER_ERROR, request
        assert not any(secret in answer.body for secret in (TOKEN.encode(), b"s3cret"))
        found = [why for one in received if (why := beyond(one, granted, reach=self._reach, opened=opened)) is not None]
        if request.upgrades and answer.status not in _REFUSED:
            found.append(f"a wish to upgrade was answered with {answer.status}")
        tries = 0
        while seconds > MOST_SECONDS and (tries := tries + 1) < _TRIES:
            seconds = min(seconds, (await self._timed(request))[0])
        return [*found, f"{seconds:.2f} s of CPU"] if seconds > MOST_SECONDS else found

    async def _timed(self, request: Asked) -> tuple[float, Answer]:
        """Seconds of the broker's CPU, too."""
        began = self._wire.cpu()
        answer = await self._answer(request)
        return self._wire.cpu() - began, answer

    async def close(self) -> None:
        if self._kept is not None:
            self._kept[1].transport.abort()
            self._kept = None

    async def _answer(self, request: Asked) -> Answer:
        framing = [header.partition(":")[0] for header in request.headers]
        length = () if "Transfer-Encoding" in framing or not request.body else (f"Content-Length: {len(request.body)}",)
        if "Content-Length" in framing:
            return await self._wire.ask(request.line, *request.headers, host=request.host, body=request.body)
        data = self._wire.head(request.line, *request.headers, *length, host=request.host) + request.body
        bodiless = request.line.startswith("HEAD ")
        if self._kept is not None:
            answer = await self._exchange(data, bodiless=bodiless)
            if answer.status != 0:
                return answer
        self._kept = await self._wire.connect()  # none yet, or the broker has ended it
        return await self._exchange(data, bodiless=bodiless)

    async def _exchange(self, data: bytes, *, bodiless: bool) -> Answer:
        assert self._kept is not None
        reader, writer = self._kept
        async with asyncio.timeout(60):
            writer.write(data)
            answer = await read_answer(reader, bodiless=bodiless)
        if answer.status == 0 or answer.headers.get("connection") == "close":
            await self.close()
        return answer


Try = Callable[[Asked, str], list[str]]


@contextlib.contextmanager
def fuzzed(
    *, program: Sequence[str] | None = None, reach: Reach = Reach.REPOSITORY, oracle: Reach | None = None
) -> Iterator[tuple[Target, Try]]:
    """A target, and how to send a request to it, on a loop of its own: hypothesis calls plain functions.

    :param oracle: the reach by which what upstream receives is judged, when it is another one.
    """

    async def enter() -> Target:
        server = await stack.enter_async_context(upstream())
        grant = new_grant(readable=(LISTED,), own_writes=reach is Reach.OWN)
        grant = replace(grant, issues=(OWN_ISSUE,))
        api = f"{server.url}/api/v3"
        model = InjectConfig(host=MODEL_HOST, port=0, header="x-api-key", paths=MODEL_PATHS, upstream=server.url)
        wire = await stack.enter_async_context(
            wired(server.url, api, grant, TOKEN, inject=[model], program=program),
        )
        if reach is Reach.NARROWED:
            await wire.opened.narrow(ExactPush(old=OLD, new=NEW, ref=grant.push_ref, lfs_oids=(LFS_OID,)))
        target = Target(wire, server, oracle or reach)
        stack.push_async_callback(target.close)
        return target

    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        try:
            target = runner.run(enter())
            yield target, lambda request, granted: runner.run(target.beyond(request, granted))
        finally:
            runner.run(stack.aclose())
