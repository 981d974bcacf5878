"""The job's own client behind a company's proxy."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from company import Company
from connect_proxy import ConnectProxy, connect_proxy
from connections import HASTY, given
from gitward.errors import RunFailure
from gitward.github.client import Connection, GitHub
from gitward.github.retries import Retries
from gitward.web_proxy import Route, WebProxy
from gitward_standin import StandIn, Token

from .conftest import REPOSITORY, TOKEN

LOGIN = "dev:pr0xy-s3cret-pass"
GIT, API = "ghe.test", "api.ghe.test"


@contextlib.asynccontextmanager
async def office(
    folder: Path, *, login: str = "", presented: str | None = None, refuses: int = 0
) -> AsyncIterator[tuple[Connection, ConnectProxy]]:
    company = Company(folder)
    github = StandIn(folder / "behind", tls=company.context(GIT, API))
    await github.start()
    github.add_user("octocat")
    github.add_token(TOKEN, Token(login="octocat"))
    await github.add_repository(REPOSITORY, permissions={"octocat": "push"})
    port = int(github.url.rpartition(":")[2])
    try:
        async with connect_proxy({f"{GIT}:443": port, f"{API}:443": port}, login=login, refuses=refuses) as proxy:
            client = GitHub(
                api_url=f"https://{API}/api/v3",
                server_url=f"https://{GIT}",
                ca_file=company.ca_file,
                route=Route(proxy=WebProxy.of("127.0.0.1", proxy.port, presented)),
            )
            yield client.connect(given(TOKEN), Retries(HASTY)), proxy
            await client.stop()
    finally:
        await github.stop()


@pytest.mark.parametrize("login", [None, LOGIN])
async def test_api_and_git_go_by_the_proxy(tmp_path: Path, login: str | None) -> None:
    async with office(tmp_path, login=login or "", presented=login) as (connection, proxy):
        assert (await connection.get(f"/repos/{REPOSITORY}")).status == 200
        assert (await connection.may_push(REPOSITORY))[0] == 200
        assert proxy.targets == {f"{GIT}:443", f"{API}:443"}


@pytest.mark.parametrize(("login", "refuses", "status"), [(LOGIN, 0, 407), ("", 403, 403)])
async def test_a_proxy_that_refuses_is_named_by_host_and_port(
    tmp_path: Path, login: str, refuses: int, status: int
) -> None:
    async with office(tmp_path, login=login, presented="dev:wr0ng-s3cret", refuses=refuses) as (connection, proxy):
        with pytest.raises(RunFailure) as told:
            await connection.get("/user")
        assert f"the proxy 127.0.0.1:{proxy.port} refused it ({status})" in told.value.message
        assert "wr0ng" not in told.value.message


async def test_a_proxy_that_is_away_is_named(tmp_path: Path) -> None:
    async with office(tmp_path) as (connection, proxy):
        gone = GitHub(
            api_url=f"https://{API}",
            server_url=f"https://{GIT}",
            route=Route(proxy=WebProxy(host="127.0.0.1", port=1)),
        )
        del connection
        with pytest.raises(RunFailure, match=r"by the proxy 127\.0\.0\.1:1: ConnectError"):
            await gone.connect(given(TOKEN), Retries(HASTY)).get("/user")
        await gone.stop()
        assert proxy.asked == []
