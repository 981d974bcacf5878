"""One stand-in for both sides: GitHub's names lead to it in a network namespace of the benchmark's own.

The service and the bare commands speak to the same TLS server at https://github.com, so the difference between them
is Gitward.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from agent_rig import agents_file
from certificates import self_signed
from gitward.identity.keys import load_or_make_key, mint
from gitward.settings.environment import clean_environment
from gitward_standin import StandIn, Token, TokenKind
from gitward_standin.language_model import StandInModel, endless
from gitward_standin.language_model.server import ANTHROPIC, OPENAI
from postgres import running_postgres

LOGIN, REPOSITORY, TOKEN = "octocat", "octocat/hello-world", "github_pat_benchmark"
HOSTS = ("github.com", "api.github.com")
MODEL_ADDRESS, MODEL_KEY = "127.0.0.2", "sk-of-the-benchmark-0123456789"
PROGRAMS = Path(__file__).parents[1] / ".tools" / "agents"  # by scripts/agents


@dataclass(frozen=True, kw_only=True)
class World:
    """A running service and a stand-in, in one folder."""

    root: Path
    github: StandIn
    url: str  # of the service
    pid: int  # of the service
    jwt: str
    ca: Path  # certificates, PEM, of the stand-in
    settings: dict[str, str]  # of every process
    workers: tuple[Process, ...] = ()  # beside the service; without any it works itself
    model: StandInModel | None = None  # of agents

    def http(self, **options: Any) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {self.jwt}"}
        return httpx2.AsyncClient(base_url=self.url, headers=headers, trust_env=False, timeout=60, **options)

    async def session(self, http: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
        answer = await http.post("/sessions", json={"repo": REPOSITORY, "target_branch": "main", **body})
        answer.raise_for_status()
        parsed: dict[str, Any] = answer.json()
        return parsed

    async def events(self, http: httpx2.AsyncClient, session: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Live events of the session's first run, until it has ended."""
        url, run_id = f"/sessions/{session['id']}/events", session["runs"][0]["id"]
        async with http.stream(
            "GET", url, params={"run_id": run_id}, headers={"Accept": "text/event-stream"}
        ) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))


def own_network() -> None:
    """Brings up loopback in the namespace that scripts/bench made."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10)


def _own_hosts(root: Path) -> None:
    """Gives GitHub's names, and those of models, to loopback."""
    hosts = root / "hosts"
    hosts.write_text(f"127.0.0.1 localhost {' '.join(HOSTS)}\n{MODEL_ADDRESS} {ANTHROPIC} {OPENAI}\n")
    subprocess.run(["mount", "--bind", str(hosts), "/etc/hosts"], check=True, timeout=10)


def _old_hosts() -> None:
    """Nothing can be bound over a file that is gone."""
    subprocess.run(["umount", "/etc/hosts"], check=True, timeout=10)


@asynccontextmanager
async def world(
    *,
    workers: int | None = None,
    idle: bool = False,
    in_memory: bool = False,
    runs: int = 4,
    watched: bool = False,
    agents: bool = False,
    restarted: bool = False,
    more: Mapping[str, str] | None = None,
) -> AsyncIterator[World]:
    """One service on SQLite; or, with a number of `workers`, an API and so many worker processes on Postgres.

    :param idle: the service on SQLite has no worker: what is posted waits.
    :param runs: that may have a place at the same time.
    :param agents: real agents, a small one for floods of updates, and a stand-in for their models.
    :param watched: the service notes what its runs wait for (`benchmarks/watched.py`), in its folder.
    :param more: settings of the service.
    :param restarted: the service has made its database in an earlier life, and loads no migrations.
    :param in_memory: all files lie on a tmpfs. On ext4 a file takes 0.4 ms to make, not 0.02, for minutes after
        thousands were removed, whoever removed them: it passes over inodes that were used of late.
    """
    async with AsyncExitStack() as stack:
        root = Path(tempfile.mkdtemp(prefix="gitward-bench-"))
        root.chmod(0o711)
        stack.push_async_callback(asyncio.to_thread, shutil.rmtree, root, ignore_errors=True)
        if in_memory:
            stack.enter_context(_memory(root))
        _own_hosts(root)
        stack.callback(_old_hosts)
        chain, ca = self_signed(root, (*HOSTS, "localhost"))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(chain)
        github = StandIn(root / "github", port=443, tls=context)
        await github.start()
        stack.push_async_callback(github.stop)
        github.add_user(LOGIN, name="The Octocat")
        github.add_token(TOKEN, Token(login=LOGIN, kind=TokenKind.FINE_GRAINED))
        await github.add_repository(REPOSITORY, permissions={LOGIN: "admin"})
        settings = {"GITHUB_TOKEN": TOKEN, "GITWARD_PORT": "0", "SSL_CERT_FILE": str(ca)}
        settings |= {"GITWARD_MAX_RUNS": str(runs), "GITWARD_MAX_RUNS_PER_USER": str(runs), **(more or {})}
        model = await _model(stack, root, ca, settings) if agents else None
        service = Process(
            root / "service",
            *(("serve",) if workers is None and not idle else ("serve", "--no-worker")),
            program=("benchmarks.watched", "waits") if watched else ("gitward",),
        )
        if workers is not None:
            postgres = await asyncio.to_thread(stack.enter_context, running_postgres())
            settings["GITWARD_DATABASE_URL"] = postgres.url(postgres.make())
        started = (service, *(Process(root / f"worker-{n + 1}", "worker") for n in range(workers or 0)))
        for process in started:
            stack.push_async_callback(process.stop)
            await process.start(settings)
            if restarted:
                await process.stop()
                await process.start(settings)
        jwt = mint(load_or_make_key(service.folder / "data"), subject="bench", audience="gitward")
        yield World(
            root=root,
            github=github,
            url=service.line.split()[-1],
            pid=service.pid,
            jwt=jwt,
            ca=ca,
            settings=settings,
            workers=started[1:],
            model=model,
        )


async def _model(stack: AsyncExitStack, root: Path, ca: Path, settings: dict[str, str]) -> StandInModel:
    """At the providers' own names, for agents of the service and for those beside it."""
    model = StandInModel(folder=root, script=endless, key=MODEL_KEY, place=(MODEL_ADDRESS, 443))
    await model.start()
    stack.push_async_callback(model.stop)
    ca.write_bytes(ca.read_bytes() + model.ca_file.read_bytes())
    settings |= {"ANTHROPIC_API_KEY": MODEL_KEY, "OPENAI_API_KEY": MODEL_KEY, "GITWARD_AGENTS_DIR": str(PROGRAMS)}
    settings["GITWARD_AGENT_START_SECONDS"] = "600"  # on a busy machine
    settings["GITWARD_AGENTS_FILE"] = str(stack.enter_context(agents_file()))
    return model


@contextlib.contextmanager
def _memory(folder: Path) -> Iterator[None]:
    """In the mount namespace that scripts/bench makes."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0711", "tmpfs", str(folder)], check=True, timeout=10)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=10)


class Process:
    """One `gitward` process with a data folder of its own."""

    def __init__(self, folder: Path, *arguments: str, program: tuple[str, ...] = ("gitward",)) -> None:
        self.folder = folder
        self.line = ""  # that it printed when it was ready
        self._arguments = (*program, *arguments)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self, settings: dict[str, str]) -> None:
        self.folder.mkdir(mode=0o711, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", *self._arguments),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=clean_environment(
                    GITWARD_DATA_DIR=str(self.folder / "data"), PYTHONPATH=str(Path(__file__).parents[1]), **settings
                ),
                cwd=self.folder,
            )
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            self.line = (await self._process.stdout.readline()).decode()
        if "ready" not in self.line:
            raise RuntimeError((self.folder / "log").read_text()[-2000:])

    async def stop(self, sig: signal.Signals = signal.SIGTERM) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(sig)
        async with asyncio.timeout(60):
            await self._process.wait()
