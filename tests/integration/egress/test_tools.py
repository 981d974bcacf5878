"""curl, pip and npm in the real sandbox, through the real broker, to servers of a company's own authority."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from gitward.sandboxes.bubblewrap import BubblewrapEngine

from .world import LOOPBACK, Company, Inside, config, sandboxed, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True, kw_only=True)
class World:
    inside: Inside
    port: int


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(folder: Path, company: Company, engine: BubblewrapEngine) -> AsyncIterator[World]:
    app = web.Application()
    app.router.add_get("/hello", hello)
    async with serving(app, company.context("index.test")) as port:
        names = dict.fromkeys(("index.test", "other.test"), LOOPBACK)
        settings = config(f"index.test:{port}", ca_file=company.ca_file, names=names)
        async with sandboxed(engine, folder, settings, time.time() + 600) as inside:
            yield World(inside=inside, port=port)


async def hello(request: web.Request) -> web.Response:
    return web.Response(text=f"hello from {request.host}")


async def test_curl(world: World) -> None:
    outcome = await world.inside.run("curl", "-sS", f"https://index.test:{world.port}/hello")
    assert outcome.out == f"hello from index.test:{world.port}", outcome


async def test_curl_is_told_why_not(world: World) -> None:
    before = len(world.inside.told.rules)
    outcome = await world.inside.run("curl", "-sSv", "https://other.test/")
    assert outcome.status == 56
    assert (
        f"< HTTP/1.1 403 Gitward: other.test is not open to this session; open are index.test:{world.port}"
        in outcome.err
    )
    assert "CONNECT tunnel failed, response 403" in outcome.err
    assert (await world.inside.told.denied(before + 1))[before:] == ["egress.host"]


async def test_without_the_proxy_there_is_no_way(world: World) -> None:
    outcome = await world.inside.run("curl", "-sS", "--noproxy", "*", f"https://index.test:{world.port}/hello")
    assert outcome.status == 6, outcome  # could not resolve host
