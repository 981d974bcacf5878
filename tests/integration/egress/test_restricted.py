"""A grant that publishes, or only fetches, leads to no other host: a real sandbox, with hosts that were open."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from company import Company
from gitward.broker import Brokers, InjectConfig, OpenGrant
from gitward.grants import clock
from gitward.grants.grant import ExactPush
from gitward.sandboxes import Limits
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.secrets import Secret

from .world import LOOPBACK, TOKEN, Inside, Outcome, Told, config, new_grant, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

INDEX, MODEL = "index.test", "api.model.test"
PUSH = ExactPush(old="0" * 40, new="1" * 40, ref="refs/heads/gitward/abc")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[BubblewrapEngine]:
    engine = BubblewrapEngine(slots=1)
    await engine.start()
    yield engine
    await engine.stop()


def application(reached: asyncio.Semaphore) -> web.Application:
    async def hold(request: web.Request) -> web.StreamResponse:
        """An answer that goes on until nobody takes it any more."""
        answer = web.StreamResponse()
        await answer.prepare(request)
        with contextlib.suppress(OSError):
            await answer.write(b"begun\n")
            reached.release()
            while True:
                await answer.write(b"more\n")
                await asyncio.sleep(0.05)
        return answer

    async def greet(_: web.Request) -> web.Response:
        return web.Response(text="open")

    app = web.Application()
    app.router.add_get("/hold", hold)
    app.router.add_get("/", greet)
    return app


@contextlib.asynccontextmanager
async def world(
    engine: BubblewrapEngine, folder: Path, company: Company, reached: asyncio.Semaphore, *, fetch_only: bool = False
) -> AsyncIterator[tuple[Inside, OpenGrant, int]]:
    """A sandbox with one host behind the proxy and one whose key is put in."""
    async with serving(application(reached), company.context(INDEX, MODEL)) as port:
        inject = [InjectConfig(host=MODEL, port=443, header="x-api-key", upstream=f"https://127.0.0.1:{port}")]
        names = {INDEX: LOOPBACK, MODEL: LOOPBACK}
        broker = Brokers(config(f"{INDEX}:{port}", ca_file=company.ca_file, names=names, inject=inject))
        await broker.start()
        told = Told()
        grant = dataclasses.replace(new_grant(clock.seconds() + 600), fetch_only=fetch_only)
        try:
            opened = await broker.open(grant, Secret(TOKEN), told, injected=[Secret("sk-CANARY0123456789")])
            sandbox = await engine.open(name="run-1", workspace=folder / "run-1", endpoint=opened, limits=Limits())
            try:
                yield Inside(sandbox, told, opened), opened, port
            finally:
                await sandbox.close()
        finally:
            await broker.stop()


async def test_narrowing_closes_other_hosts(engine: BubblewrapEngine, folder: Path, company: Company) -> None:
    """New requests are refused; a tunnel and an answer that were open end."""
    reached = asyncio.Semaphore(0)
    async with world(engine, folder, company, reached) as (inside, opened, port):
        hosts = (f"https://{INDEX}:{port}", f"https://{MODEL}")
        holding: list[asyncio.Task[Outcome]] = []
        for host in hosts:
            assert (await inside.run("curl", "-sS", host)).out == "open"
            holding.append(asyncio.create_task(inside.run("curl", "-sSN", f"{host}/hold")))
            async with asyncio.timeout(30):
                await reached.acquire()
        await opened.narrow(PUSH)
        async with asyncio.timeout(30):
            assert [outcome.status != 0 for outcome in await asyncio.gather(*holding)] == [True, True]
        for host in hosts:
            assert "open" not in (await inside.run("curl", "-sS", host)).out
        assert await inside.told.denied(2) == ["publish.only"] * 2


async def test_a_fetch_only_grant_leads_to_no_other_host(
    engine: BubblewrapEngine, folder: Path, company: Company
) -> None:
    async with world(engine, folder, company, asyncio.Semaphore(0), fetch_only=True) as (inside, _, port):
        refused = await inside.run("curl", "-sSv", f"https://{INDEX}:{port}")
        assert "Gitward: this access may only fetch octo/demo" in refused.err
        assert (
            "Gitward: this access may only fetch octo/demo" in (await inside.run("curl", "-sS", f"https://{MODEL}")).out
        )
        assert await inside.told.denied(2) == ["fetch.only"] * 2
