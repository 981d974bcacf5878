"""The machines: a Postgres, a stand-in GitHub, one process with the API, some with a worker; all of them real."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from gitward.identity.keys import load_or_make_key, mint
from gitward.settings.environment import clean_environment
from gitward_standin import Repository, StandIn, Token
from postgres import Postgres, running_postgres
from small_disks import mounted

from .link import Link

LOGIN, REPOSITORY, TOKEN = "octocat", "acme/widgets", "ghp_chaos000000000000000000000000000000"
PARENT, LAUNCHER = "gitward.broker.server.parent", "gitward.sandboxes.launcher"
DISK_MIB = 256  # of a worker's data folder, which is a disk of its own
START_SECONDS = 60.0
STOP_SECONDS = 60.0
MAX_RUNS = 4
LEASE_SECONDS = 5
GITHUB_SECONDS = (0.01, 0.12)  # what GitHub takes for an answer: time in which a fault can hit a step
DATABASE_SECONDS = 0.004  # what one way to the database takes


@dataclass(kw_only=True)
class Machine:
    """One process of Gitward with a data folder and a wire to the database of its own."""

    name: str
    folder: Path
    link: Link
    process: asyncio.subprocess.Process | None = None
    stopped: bool = False  # by SIGSTOP
    starts: int = 0
    prefix: tuple[str, ...] = ()  # of its command line, where its disk is in a namespace of its own

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.returncode is None


@dataclass(kw_only=True)
class World:
    """All of it. `workers` are started again by whoever ended them."""

    root: Path
    github: StandIn
    repository: Repository
    postgres: Postgres
    database: str
    api: Machine
    workers: list[Machine] = field(default_factory=list)
    url: str = ""
    jwt: str = ""

    async def start(self, machine: Machine) -> None:
        """Starts a process and waits until it is ready."""
        if machine.process is not None:
            await machine.process.wait()
        machine.starts += 1
        arguments = ("serve", "--no-worker") if machine is self.api else ("worker",)
        with (machine.folder / "log").open("ab") as log:
            machine.process = await asyncio.create_subprocess_exec(
                *(*machine.prefix, sys.executable, "-m", "gitward", *arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=clean_environment(**self._environment(machine)),
                cwd=machine.folder,
            )
        assert machine.process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            line = await machine.process.stdout.readline()
        if machine is self.api and line:
            self.url = line.decode().split()[-1]
        if not line and machine.process.returncode not in {None, -signal.SIGKILL}:
            raise RuntimeError(f"{machine.name} did not start: {(machine.folder / 'log').read_text()[-3000:]}")

    def _environment(self, machine: Machine) -> dict[str, str]:
        return {
            "GITHUB_TOKEN": TOKEN,
            "GITWARD_DATA_DIR": str(machine.folder / "data"),
            "GITWARD_DATABASE_URL": self.postgres.url(self.database, port=machine.link.port),
            "GITWARD_UPSTREAM_URL": self.github.url,
            "GITWARD_UPSTREAM_API_URL": self.github.api_url,
            "GITWARD_PORT": "0",
            "GITWARD_MAX_RUNS": str(MAX_RUNS),
            "GITWARD_MAX_RUNS_PER_USER": str(MAX_RUNS),
            "GITWARD_LEASE_SECONDS": str(LEASE_SECONDS),
            "GITWARD_GRACE_SECONDS": "1",
        }

    async def end(self, machine: Machine, sig: signal.Signals = signal.SIGTERM) -> None:
        """Ends a process and waits; one that does not end in time is killed, and that is an error."""
        if machine.process is None or machine.process.returncode is not None:
            return
        machine.process.send_signal(sig)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await machine.process.wait()
        except TimeoutError:
            machine.process.kill()
            await machine.process.wait()
            raise RuntimeError(f"{machine.name} did not end within {STOP_SECONDS:g} s of {sig.name}") from None


@asynccontextmanager
async def world(workers: int, *, seed: int, keep: bool) -> AsyncIterator[World]:
    """Everything started; at the end everything ended, in the order in which an operator would.

    `keep`: the folders stay, with the logs.
    """
    root = Path(tempfile.mkdtemp(prefix="gitward-chaos-"))
    root.chmod(0o711)  # the sandbox's own user passes through
    async with contextlib.AsyncExitStack() as stack:
        if not keep:
            stack.push_async_callback(asyncio.to_thread, shutil.rmtree, root, ignore_errors=True)
        postgres = await asyncio.to_thread(stack.enter_context, running_postgres())
        database = await asyncio.to_thread(_database, postgres)
        github = StandIn(root / "github")
        await github.start()
        stack.push_async_callback(github.stop)
        chance = random.Random(seed)
        github.slow_down(lambda: chance.uniform(*GITHUB_SECONDS))
        github.add_user(LOGIN, name="The Octocat", email="octocat@example.com")
        github.add_token(TOKEN, Token(login=LOGIN, scopes=("repo", "user:email")))
        repository = await github.add_repository(REPOSITORY, permissions={LOGIN: "admin"})
        machines = []
        for name in ("api", *(f"worker-{number + 1}" for number in range(workers))):
            latency = 0.0 if name == "api" else DATABASE_SECONDS
            machine = Machine(name=name, folder=root / name, link=Link(postgres.port, latency_seconds=latency))
            machine.folder.mkdir(mode=0o711)
            if name != "api":
                machine.prefix = stack.enter_context(mounted({machine.folder / "data": DISK_MIB}))
            await machine.link.start()
            stack.push_async_callback(machine.link.stop)
            machines.append(machine)
        made = World(
            root=root,
            github=github,
            repository=repository,
            postgres=postgres,
            database=database,
            api=machines[0],
            workers=machines[1:],
        )
        for machine in machines:
            stack.push_async_callback(made.end, machine)
            await made.start(machine)
        made.jwt = mint(load_or_make_key(made.api.folder / "data"), subject="chaos", audience="gitward")
        yield made


def _database(postgres: Postgres) -> str:
    """What was committed must survive a crash of the server, as anywhere but in tests."""
    name = postgres.make()
    with psycopg.connect(postgres.url(name), autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = on'.encode())
    return name


def child_of(pid: int, module: str) -> int | None:
    """The process of a worker that runs this module; None when it has none just now."""
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                if module.encode() in Path(f"/proc/{child}/cmdline").read_bytes():
                    return int(child)
    return None


def broker_of(pid: int) -> int | None:
    """The broker of one of a worker's runs; None when none has one just now."""
    parent = child_of(pid, PARENT)
    return None if parent is None else child_of(parent, PARENT)  # a fork: it has the arguments of its parent


def send(pid: int, sig: signal.Signals) -> bool:
    """Whether there was a process to take the signal."""
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        return False
    return True
