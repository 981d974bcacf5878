"""curl, pip and npm in the real sandbox, through the real broker, to servers of a company's own authority."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from company import Company
from gitward.grants import clock
from gitward.sandboxes.engine import BubblewrapEngine

from .tools import NAME, registry
from .world import LOOPBACK, Inside, Outcome, config, peak_memory, sandboxed, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEGABYTE = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class World:
    """`index.test` is open at `port` by TLS, and at `plain_port` without."""

    inside: Inside
    tools: Path
    port: int
    plain_port: int

    @property
    def url(self) -> str:
        return f"https://index.test:{self.port}"

    async def pip(self, *argv: str) -> Outcome:
        options = ("--disable-pip-version-check", "--retries=1", "--timeout=10")
        python = {"PYTHONPATH": str(self.tools / "python")}
        return await self.inside.run("/usr/bin/python3", "-m", "pip", *argv, *options, **python)

    async def npm(self, *argv: str) -> Outcome:
        options = ("--no-audit", "--no-fund", "--no-update-notifier", "--fetch-retries=0")
        return await self.inside.run("npm", *argv, *options)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(folder: Path, company: Company, tool_folder: Path, engine: BubblewrapEngine) -> AsyncIterator[World]:
    async with serving(registry(), company.context("index.test")) as port, serving(registry(), None) as plain_port:
        names = dict.fromkeys(("index.test", "other.test"), LOOPBACK)
        rules = f"index.test:{port}, http://index.test:{plain_port}"
        settings = config(rules, ca_file=company.ca_file, names=names)
        async with sandboxed(engine, folder, settings, clock.seconds() + 600) as inside:
            yield World(inside=inside, tools=tool_folder, port=port, plain_port=plain_port)


async def test_curl(world: World) -> None:
    outcome = await world.inside.run("curl", "-sS", f"{world.url}/hello")
    assert outcome.out == f"hello from index.test:{world.port}", outcome


async def test_curl_without_tls(world: World) -> None:
    """The way of apt; curl reads http_proxy in small letters only."""
    outcome = await world.inside.run("curl", "-sS", f"http://index.test:{world.plain_port}/hello")
    assert outcome.out == f"hello from index.test:{world.plain_port}", outcome


async def test_pip(world: World) -> None:
    outcome = await world.pip("install", "--target=/workspace/python", f"--index-url={world.url}/simple", NAME)
    assert outcome.status == 0, outcome
    outcome = await world.inside.bash("PYTHONPATH=/workspace/python python3 -m gitward_demo_package")
    assert outcome.out == "hello from the wheel\n", outcome


async def test_npm(world: World) -> None:
    outcome = await world.npm("install", "--prefix=/workspace/node", f"--registry={world.url}/npm", NAME)
    assert outcome.status == 0, outcome
    outcome = await world.inside.bash(f"node /workspace/node/node_modules/{NAME}")
    assert outcome.out == "hello from the tarball\n", outcome


async def test_apt(world: World) -> None:
    """Its lists by plain HTTP: several requests, of which the proxy takes one on a connection."""
    script = f"""
    mkdir -p apt/state/lists/partial apt/cache/archives/partial apt/etc/preferences.d && cd apt
    echo 'deb [trusted=yes] http://index.test:{world.plain_port}/debian ./' > sources.list
    options="-o Dir::State=$PWD/state -o Dir::Cache=$PWD/cache -o Dir::Etc=$PWD/etc -o APT::Sandbox::User=
      -o Dir::Etc::SourceList=$PWD/sources.list -o Dir::State::status=/dev/null -o Debug::NoLocking=1"
    apt-get $options update && apt-cache $options show {NAME}
    """
    outcome = await world.inside.bash(script)
    assert outcome.status == 0, outcome
    assert "Description: hello from the list" in outcome.out


async def test_hosts_that_were_reached_are_told(world: World) -> None:
    await world.inside.run("curl", "-sS", f"{world.url}/hello")
    opened = [event.data for event in world.inside.told.events if event.type == "egress.opened"]
    assert opened.count({"host": "index.test", "port": str(world.port)}) == 1


async def test_curl_is_told_why_not(world: World) -> None:
    before = len(world.inside.told.rules)
    outcome = await world.inside.run("curl", "-sSv", "https://other.test/")
    assert outcome.status == 56
    assert (
        f"< HTTP/1.1 403 Gitward: other.test is not open to this session; these are open: {world.url[8:]}"
        in outcome.err
    )
    assert "CONNECT tunnel failed, response 403" in outcome.err
    plain = await world.inside.run("curl", "-sS", "http://other.test/")
    assert plain.out.startswith("Gitward: other.test is not open to this session; these are open: index.test:")
    assert (await world.inside.told.denied(before + 2))[before:] == ["egress.host"] * 2


async def test_pip_is_told_why_not(world: World) -> None:
    outcome = await world.pip("download", "--index-url=https://other.test/simple", NAME)
    assert outcome.status == 1
    assert (
        "Tunnel connection failed: 403 Gitward: other.test is not open to this session; these are open:" in outcome.err
    )


async def test_npm_is_told_why_not(world: World) -> None:
    outcome = await world.npm("install", "--prefix=/workspace/refused", "--registry=https://other.test/", NAME)
    assert outcome.status == 1
    assert "403 Gitward: other.test is not open to this session; these are open:" in outcome.err, outcome


async def test_what_is_told_when_a_client_asks_for_another_host_in_the_tunnel(world: World) -> None:
    before = len(world.inside.told.rules)
    outcome = await world.inside.run(
        "curl", "-sS", "--connect-to", f"evil.test:443:index.test:{world.port}", "https://evil.test/"
    )
    assert outcome.status == 35
    assert "alert access denied" in outcome.err
    assert (await world.inside.told.denied(before + 1))[before:] == ["egress.sni"]
    last = [event for event in world.inside.told.events if event.type == "policy.denied"][-1]
    assert last.data["message"] == (
        f"CONNECT index.test:{world.port}: in a tunnel to index.test the TLS client must ask for index.test"
    )


async def test_without_the_proxy_there_is_no_way(world: World) -> None:
    outcome = await world.inside.run("curl", "-sS", "--noproxy", "*", f"{world.url}/hello")
    assert outcome.status == 6, outcome  # could not resolve host
    outcome = await world.inside.run("curl", "-sS", "--noproxy", "*", f"https://127.0.0.1:{world.port}/hello")
    assert outcome.status == 7, outcome  # nobody listens


async def test_github_stays_direct(world: World) -> None:
    """By the usual variables GitHub's names go straight to the broker; who insists on the proxy is refused."""
    outcome = await world.inside.run("curl", "-sS", "https://api.github.com/user")
    assert outcome.out == '{"message": "Gitward: requires authentication with the session\'s credential"}', outcome
    outcome = await world.inside.run("curl", "-sSv", "https://api.github.com/user", no_proxy="", NO_PROXY="")
    assert "< HTTP/1.1 403 Gitward: the proxy does not serve api.github.com: use git, gh" in outcome.err


async def test_a_large_answer_leaves_the_broker_small(world: World) -> None:
    pid = world.inside.pid
    before = peak_memory(pid)
    outcome = await world.inside.bash(f"curl -sS '{world.url}/large?bytes={100 * MEGABYTE}' | wc -c")
    assert outcome.out == f"{100 * MEGABYTE}\n"
    assert peak_memory(pid) - before < 20 * MEGABYTE
