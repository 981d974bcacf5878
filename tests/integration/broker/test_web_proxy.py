"""The broker behind a company's proxy: names that only the proxy knows, certificates that only the company signed."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from company import Company
from connect_proxy import ConnectProxy, connect_proxy
from gitward.broker import BrokerConfig, Brokers, OpenGrant, ProxyConfig
from gitward.secrets import Secret, masked_forms
from gitward_standin import StandIn, Token

from .conftest import BRANCH, REPOSITORY, TOKEN, Events, new_grant
from .rig import Inside, commit, inside

URL = f"https://github.com/{REPOSITORY}"
LOGIN = "dev:pr0xy-s3cret-pass"
GIT, API, STORAGE = "ghe.test", "api.ghe.test", "storage.test"


@dataclass(frozen=True, kw_only=True)
class Office:
    """A sandbox, its broker, the company's proxy, and GitHub behind it."""

    tools: Inside
    github: StandIn
    proxy: ConnectProxy
    opened: OpenGrant


@contextlib.asynccontextmanager
async def office(
    folder: Path, *, login: str = "", presented: str = "", refuses: int = 0, exceptions: str = ""
) -> AsyncIterator[Office]:
    company = Company(folder)
    github = StandIn(folder / "github", tls=company.context(GIT, API, STORAGE))
    await github.start()
    github.add_user("dev")
    github.add_token(TOKEN, Token(login="dev"))
    await github.add_repository(REPOSITORY, permissions={"dev": "push"})
    github._front.lfs.base = f"https://{STORAGE}"
    port = int(github.url.rpartition(":")[2])
    names = {f"{host}:443": port for host in (GIT, API, STORAGE)}
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(github.stop)
        proxy = await stack.enter_async_context(connect_proxy(names, login=login, refuses=refuses))
        broker = Brokers(
            BrokerConfig(
                server_url="https://github.com",
                api_url="https://api.github.com",
                upstream_url=f"https://{GIT}",
                upstream_api_url=f"https://{API}/api/v3",
                ca_file=str(company.ca_file),
                proxy=ProxyConfig(host="127.0.0.1", port=proxy.port, exceptions=exceptions),
            ),
            proxy_login=Secret(presented) if presented else None,
        )
        await broker.start()
        stack.push_async_callback(broker.stop)
        opened: OpenGrant = await broker.open(new_grant(), Secret(TOKEN), Events())
        tools = await stack.enter_async_context(inside(folder / "home", "github.com", "api.github.com"))
        tools.trust(opened)
        tools.present(opened.credential)
        await opened.attach([tools.listener])
        yield Office(tools=tools, github=github, proxy=proxy, opened=opened)


@pytest.mark.parametrize("login", ["", LOGIN])
async def test_git_gh_and_lfs_go_by_the_proxy(tmp_path: Path, capfd: pytest.CaptureFixture[str], login: str) -> None:
    content = os.urandom(1000)
    async with office(tmp_path, login=login, presented=login) as scene:
        tools = scene.tools
        tools.env["GH_TOKEN"] = (tools.home / ".git-credentials").read_text().split(":")[2].partition("@")[0]
        await tools.ok("git", "lfs", "install", "--skip-repo")
        await tools.ok("git", "clone", "-q", URL, "demo")
        checkout = tools.home / "demo"
        await tools.ok("git", "lfs", "install", "--local", cwd=checkout)
        await tools.ok("git", "checkout", "-q", "-b", BRANCH, cwd=checkout)
        await tools.ok("git", "lfs", "track", "*.bin", cwd=checkout)
        await tools.ok("git", "add", ".gitattributes", cwd=checkout)
        head = await commit(tools, checkout, "a.bin", content)
        await tools.ok("git", "push", "-q", "origin", BRANCH, cwd=checkout)
        assert await scene.github.repository(REPOSITORY).head(BRANCH) == head
        assert REPOSITORY in await tools.ok("gh", "api", f"repos/{REPOSITORY}")
        assert scene.proxy.targets == {f"{host}:443" for host in (GIT, API, STORAGE)}
        assert scene.proxy.statuses == {200}
        shown = Path(f"/proc/{scene.opened.pid}/cmdline").read_bytes()
    oid = hashlib.sha256(content).hexdigest()
    assert list(tmp_path.glob(f"**/lfs/objects/{oid[:2]}/{oid[2:4]}/{oid}"))
    shown += capfd.readouterr().err.encode()
    assert not [form for form in masked_forms(Secret(LOGIN)) if form in shown]


async def test_a_crashed_broker_still_knows_the_login(tmp_path: Path) -> None:
    async with office(tmp_path, login=LOGIN, presented=LOGIN) as scene:
        pid = scene.opened.pid
        assert pid is not None
        os.kill(pid, 9)
        await scene.opened.replaced(pid)
        await scene.tools.ok("git", "ls-remote", URL)


@pytest.mark.parametrize(
    ("login", "refuses", "said"),
    [(LOGIN, 0, "refused it (407)"), ("", 403, "refused it (403)")],
)
async def test_a_proxy_that_refuses_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], login: str, refuses: int, said: str
) -> None:
    """By host and port alone, in git's output and in the log."""
    async with office(tmp_path, login=login, presented="dev:wr0ng-s3cret", refuses=refuses) as scene:
        result = await scene.tools.git("ls-remote", URL)
        assert (
            f"Gitward: GitHub could not be reached from the worker: the proxy 127.0.0.1:{scene.proxy.port} {said}"
            in (result.err)
        )
        assert scene.github.requests == []
    log = capfd.readouterr().err
    assert said in log
    assert "wr0ng" not in log + result.err


async def test_hosts_of_no_proxy_are_reached_directly(tmp_path: Path) -> None:
    """This name leads nowhere without the proxy, so nothing arrives; and nobody asks the proxy."""
    async with office(tmp_path, exceptions="other.test, ghe.test") as scene:
        result = await scene.tools.git("ls-remote", URL)
        assert "GitHub could not be reached from the worker; try again later" in result.err
        assert scene.proxy.asked == []


async def test_the_messages_to_the_process_are_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with office(tmp_path, login=LOGIN, presented=LOGIN):
        pass
    assert LOGIN.partition(":")[2] not in caplog.text
