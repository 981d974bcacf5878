"""A company's network: GitHub is reached through its proxy alone, by certificates of its own authority."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from command_line import gitward
from company import Company
from connect_proxy import ConnectProxy, connect_proxy
from gitward.secrets import Secret, masked_forms
from gitward_standin import StandIn
from rig import Json, Rig, rig

LOGIN = "dev:pr0xy-s3cret-pass"
GIT, API = "ghe.corp.test", "api.ghe.corp.test"


class Relay:
    """TLS on one side, the stand-in on the other."""

    def __init__(self) -> None:
        self.upstream = 0  # a port, known later
        self.port = 0

    @contextlib.asynccontextmanager
    async def started(self, company: Company) -> AsyncIterator[Relay]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=company.context(GIT, API))
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward_reader, onward = await asyncio.open_connection("127.0.0.1", self.upstream)
        with contextlib.suppress(OSError):
            await asyncio.gather(_pump(reader, onward), _pump(onward_reader, writer))


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while piece := await source.read(65536):
        target.write(piece)
        await target.drain()
    target.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """The service's user must be able to read the authority's certificate."""
    with tempfile.TemporaryDirectory(prefix="gitward-test-ca-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextlib.asynccontextmanager
async def office(folder: Path, *, login: str = "", refuses: int = 0) -> AsyncIterator[tuple[Rig, ConnectProxy]]:
    company = Company(folder)
    async with Relay().started(company) as relay:
        names = {f"{GIT}:443": relay.port, f"{API}:443": relay.port}
        async with connect_proxy(names, login=login, refuses=refuses) as proxy:

            def register(github: StandIn) -> dict[str, str]:
                relay.upstream = urlsplit(github.url).port or 0
                return {
                    "GITWARD_UPSTREAM_URL": f"https://{GIT}",
                    "GITWARD_UPSTREAM_API_URL": f"https://{API}/api/v3",
                    "SSL_CERT_FILE": str(company.ca_file),
                    "https_proxy": f"http://{LOGIN}@127.0.0.1:{proxy.port}",
                }

            async with rig(register) as service:
                yield service, proxy


async def test_a_session_behind_the_proxy(folder: Path) -> None:
    """Job and broker go by it; its password is in no log, no event and no answer."""
    async with office(folder, login=LOGIN) as (service, proxy), service.client() as client:
        repository = await service.repository()
        session, run, events = await client.run(repository, "echo changed >> README.md")
        assert (run["state"], run["pull_request"]["number"]) == ("succeeded", 1)
        assert proxy.targets == {f"{GIT}:443", f"{API}:443"}
        assert proxy.statuses == {200}
        await service.stop()
        stored = b"".join(file.read_bytes() for file in service.data.glob("gitward.db*"))
        shown = f"{session} {run} {events} {service.log.read_text()}".encode() + stored
        assert not [form for form in masked_forms(Secret(LOGIN)) if form in shown]
        assert LOGIN.partition(":")[2].encode() not in shown


async def test_a_proxy_that_refuses_is_named(folder: Path) -> None:
    """While the run waits for better times, in the words that its message has in the end."""
    async with office(folder, refuses=403) as (service, proxy), service.client() as client:
        session = await client.session(await service.repository(), command="true")
        async with asyncio.timeout(300):
            [event] = [event async for event in _first(client.stream(session), "step.retrying")]
        await client.post(f"/sessions/{session['id']}/cancel", status=200)
        assert f"the proxy 127.0.0.1:{proxy.port} refused it (403)" in event["data"]["cause"]
        assert "pr0xy" not in f"{event} {service.log.read_text()}"


async def _first(events: AsyncIterator[Json], kind: str) -> AsyncIterator[Json]:
    async for event in events:
        if event["type"] == kind:
            yield event
            return


async def test_the_doctor_says_which_way_github_is_reached(tmp_path: Path) -> None:
    settings = {"GITWARD_DATA_DIR": str(tmp_path / "data"), "HTTPS_PROXY": f"http://{LOGIN}@proxy.corp:3128"}
    _, by_proxy, _ = await gitward("doctor", cwd=tmp_path, NO_PROXY="api.github.com", **settings)
    assert "https://github.com by the proxy proxy.corp:3128; https://api.github.com directly" in by_proxy
    assert "pr0xy" not in by_proxy
    _, without, _ = await gitward("doctor", cwd=tmp_path, GITWARD_DATA_DIR=str(tmp_path / "data"))
    assert "https://github.com directly; https://api.github.com directly" in without
