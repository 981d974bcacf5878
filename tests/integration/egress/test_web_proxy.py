"""Other hosts, and hosts whose key is put in, behind a company's proxy that alone can look their names up."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from company import Company
from connect_proxy import ConnectProxy, connect_proxy
from gitward.broker import BrokerConfig, Brokers, EgressConfig, InjectConfig, ProxyConfig
from gitward.grants import clock
from gitward.sandboxes import Limits
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.secrets import Secret

from .world import LOOPBACK, TOKEN, Inside, Told, config, new_grant, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

INDEX, MODEL, NEAR, PLAIN, UNKNOWN = "index.test", "api.model.test", "near.test", "plain.test", "unknown.test"
LOGIN = "dev:pr0xy-s3cret-pass"
KEY = "sk-CANARY0123456789"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[BubblewrapEngine]:
    engine = BubblewrapEngine(slots=1)
    await engine.start()
    yield engine
    await engine.stop()


@dataclass(frozen=True, kw_only=True)
class Office:
    inside: Inside
    proxy: ConnectProxy
    port: int  # of the hosts that are reached by TLS
    plain: int


@contextlib.asynccontextmanager
async def office(
    engine: BubblewrapEngine, folder: Path, company: Company, *, refuses: int = 0
) -> AsyncIterator[Office]:
    async def echo(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.host} {request.headers.get('x-api-key', '-')}")

    app, unencrypted = web.Application(), web.Application()
    for each in (app, unencrypted):
        each.router.add_get("/", echo)
    async with contextlib.AsyncExitStack() as stack:
        port = await stack.enter_async_context(serving(app, company.context(INDEX, MODEL, NEAR)))
        plain = await stack.enter_async_context(serving(unencrypted, None))
        names = {f"{INDEX}:{port}": port, f"{MODEL}:443": port, f"{PLAIN}:{plain}": plain}
        proxy = await stack.enter_async_context(connect_proxy(names, login=LOGIN, refuses=refuses))
        rules = f"{INDEX}:{port},{NEAR}:{port},{UNKNOWN}:{port},http://{PLAIN}:{plain}"
        broker = Brokers(
            _with_proxy(config(rules, ca_file=company.ca_file, names={NEAR: LOOPBACK}), proxy.port),
            proxy_login=Secret(LOGIN),
        )
        await broker.start()
        stack.push_async_callback(broker.stop)
        told = Told()
        opened = await broker.open(new_grant(clock.seconds() + 600), Secret(TOKEN), told, injected=[Secret(KEY)])
        sandbox = await engine.open(name="run-1", workspace=folder / "run-1", endpoint=opened, limits=Limits())
        stack.push_async_callback(sandbox.close)
        yield Office(inside=Inside(sandbox, told, opened), proxy=proxy, port=port, plain=plain)


def _with_proxy(given: BrokerConfig, port: int) -> BrokerConfig:
    egress = EgressConfig(rules=given.egress.rules, names=given.egress.names, trusted=LOOPBACK)
    return dataclasses.replace(
        given,
        egress=egress,
        inject=(InjectConfig(host=MODEL, port=443, header="x-api-key"),),
        proxy=ProxyConfig(host="127.0.0.1", port=port, exceptions=NEAR),
    )


async def test_every_way_out_leads_by_the_proxy(engine: BubblewrapEngine, folder: Path, company: Company) -> None:
    """Only what NO_PROXY names does not. Policy stays: the list, and the name in TLS."""
    async with office(engine, folder, company) as scene:
        run = scene.inside.run
        tunnel = f"{INDEX}:{scene.port}"
        assert (await run("curl", "-sS", f"https://{tunnel}")).out == f"{tunnel} -"
        assert (await run("curl", "-sS", f"https://{MODEL}")).out.startswith(f"{MODEL} *")
        assert (await run("curl", "-sS", f"http://{PLAIN}:{scene.plain}")).out == f"{PLAIN}:{scene.plain} -"
        expected = {tunnel, f"{MODEL}:443", f"{PLAIN}:{scene.plain}"}
        assert scene.proxy.targets == expected
        assert (await run("curl", "-sS", f"https://{NEAR}:{scene.port}")).out == f"{NEAR}:{scene.port} -"
        other = await run("curl", "-sSv", "--connect-to", f"other.test:443:{INDEX}:{scene.port}", "https://other.test")
        assert other.status != 0
        assert await scene.inside.told.denied(1) == ["egress.sni"]
        assert (await run("curl", "-sS", f"https://closed.test:{scene.port}")).status != 0
        assert scene.proxy.targets == expected


async def test_a_proxy_that_refuses_is_named(engine: BubblewrapEngine, folder: Path, company: Company) -> None:
    async with office(engine, folder, company, refuses=403) as scene:
        said = f"the proxy 127.0.0.1:{scene.proxy.port} refused it (403)"
        tunnel = await scene.inside.run("curl", "-sSv", f"https://{INDEX}:{scene.port}")
        assert said in tunnel.err
        assert said in (await scene.inside.run("curl", "-sS", f"https://{MODEL}")).out


async def test_a_name_that_the_proxy_does_not_know(engine: BubblewrapEngine, folder: Path, company: Company) -> None:
    async with office(engine, folder, company) as scene:
        outcome = await scene.inside.run("curl", "-sSv", f"https://{UNKNOWN}:{scene.port}")
        assert f"the proxy 127.0.0.1:{scene.proxy.port} refused it (502)" in outcome.err
