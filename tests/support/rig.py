"""The real service as a child process, beside a stand-in GitHub: what acceptance tests drive over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx2

import described
import held_loops
import warm_services
from app_keys import app_key
from gitward.identity.keys import load_or_make_key, mint
from gitward.settings.environment import clean_environment
from gitward_standin import Installation, Repository, StandIn, Token
from machine import slowness
from small_disks import mounted, seen_behind
from warm_services import WarmService

Json = dict[str, Any]
LOGIN = "octocat"
RUN_SECONDS = 300.0  # bounds a hang; a run takes one or two, some more on a busy machine
WAIT_SECONDS = 30.0  # the same, of what takes a moment, on a machine that is idle
START_SECONDS = 120.0  # the same, for a start or a stop


class Rig:
    """One service with its own data folder; it can be killed and started again.

    :param warm: a process that has loaded everything forks it: see `warm_services` for the tests that this is for.
    """

    def __init__(self, root: Path, github: StandIn, *, warm: bool = False, **settings: str) -> None:
        # The operator's token, another for each rig: no test may find it where it must not be.
        self.token = "ghp_CANARY" + secrets.token_hex(15)
        self.root = root
        self.warm = warm
        self.prefix: tuple[str, ...] = ()  # of its command line
        self.github = github
        self.data = root / "data"
        self.log = root / "service.log"
        self.url = ""
        self.process: asyncio.subprocess.Process | WarmService | None = None
        given = {
            "GITHUB_TOKEN": self.token,
            "GITWARD_DATA_DIR": str(self.data),
            "GITWARD_UPSTREAM_URL": github.url,
            "GITWARD_UPSTREAM_API_URL": github.api_url,
            "GITWARD_PORT": "0",
            **{name: value.replace("{root}", str(root)) for name, value in settings.items()},
        }
        self.environment = clean_environment(**{name: value for name, value in given.items() if value})
        self._repositories = 0

    async def start(self, *options: str) -> None:
        async with asyncio.timeout(START_SECONDS):
            self.process = await self._begun("serve", *options)
        assert self.process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            line = await self.process.stdout.readline()
        assert line.startswith(b"Gitward is ready at "), self.log.read_text()[-3000:]
        self.url = line.decode().split()[-1]

    async def _begun(self, *arguments: str) -> asyncio.subprocess.Process | WarmService:
        with self.log.open("ab") as log:
            if self.warm:
                assert not self.prefix, "only a real start has a mount namespace of its own"
                return await warm_services.start(
                    *arguments, environment=self.environment, folder=self.root, stderr=log.fileno()
                )
            return await asyncio.create_subprocess_exec(
                *(*self.prefix, sys.executable, "-m", "gitward", *arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self.environment,
                cwd=self.root,
            )

    async def stop(self, sig: signal.Signals = signal.SIGTERM) -> int:
        """Ends the service and waits; its exit status."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(sig)
        async with asyncio.timeout(START_SECONDS):
            return await self.process.wait()

    def seen(self, path: Path) -> Path:
        """A path as the service sees it, which may have disks of its own."""
        return seen_behind(self.prefix, path)

    async def calm(self) -> None:
        """What a test that failed half-way has left goes: an outage, gates, faults, its runs, a dead service."""
        await self.github.mend()
        if self.process is not None and self.process.returncode is not None:
            await self.start()
        for session_id, subject in self._unended():
            async with self.client(subject) as client:
                await client.http.post(f"/sessions/{session_id}/cancel")
        async with asyncio.timeout(RUN_SECONDS):
            while self._unended():
                await asyncio.sleep(0.05)

    def _unended(self) -> list[tuple[str, str]]:
        """Session and its owner of every run that has not ended."""
        query = "SELECT s.id, s.subject FROM sessions s JOIN runs r ON r.session_id = s.id WHERE r.ended_at IS NULL"
        with closing(sqlite3.connect(self.seen(self.data) / "gitward.db", timeout=30)) as connection:
            return list(connection.execute(query))

    def stored_kinds(self, session_id: str) -> set[str]:
        """The kinds of artifacts that the database has of a session, shown to anybody or not."""
        query = "SELECT DISTINCT kind FROM artifacts a JOIN runs r ON r.id = a.run_id WHERE r.session_id = ?"
        with closing(sqlite3.connect(self.seen(self.data) / "gitward.db", timeout=30)) as connection:
            return {kind for (kind,) in connection.execute(query, (session_id,))}

    def jwt(self, subject: str = "alice") -> str:
        return mint(load_or_make_key(self.seen(self.data)), subject=subject, audience="gitward")

    @asynccontextmanager
    async def client(self, subject: str = "alice") -> AsyncIterator[Client]:
        headers = {"Authorization": f"Bearer {self.jwt(subject)}"}
        async with httpx2.AsyncClient(base_url=self.url, headers=headers, trust_env=False, timeout=120) as http:
            yield Client(http)

    async def repository(self, **options: Any) -> Repository:
        """A new repository that the token's owner administers."""
        self._repositories += 1
        name = f"acme/widgets-{os.getpid()}-{self._repositories}"
        options.setdefault("permissions", {LOGIN: "admin"})
        return await self.github.add_repository(name, **options)


class Client:
    """A caller of the API."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http

    async def post(
        self, path: str, body: Json | None = None, *, status: int = 201, headers: dict[str, str] | None = None
    ) -> Json:
        answer = await self.http.post(path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        parsed: Json = answer.json()
        return parsed

    async def get(self, path: str, status: int = 200, **parameters: str) -> Json:
        answer = await self.http.get(path, params=parameters)
        assert answer.status_code == status, answer.text
        parsed: Json = answer.json()
        return parsed

    async def session(self, repository: Repository, **body: Any) -> Json:
        return await self.post("/sessions", {"repo": repository.full_name, **body})

    async def stream(self, session: Json, run_id: str | None = None, after: int = 0) -> AsyncIterator[Json]:
        """Live events until the run has ended."""
        parameters = {"run_id": run_id or session["runs"][-1]["id"]}
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        async with self.http.stream(
            "GET", f"/sessions/{session['id']}/events", params=parameters, headers=headers
        ) as answer:
            assert answer.status_code == 200
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))

    async def finished(self, session: Json, run_id: str | None = None) -> tuple[Json, list[Json]]:
        """Waits for the run's end: the run, and its events."""
        run_id = run_id or session["runs"][-1]["id"]
        events: list[Json] = []
        try:
            async with asyncio.timeout(RUN_SECONDS):
                async for event in self.stream(session, run_id):
                    events.append(event)
        except TimeoutError:
            raise AssertionError(f"the run did not end: {events[-8:]}") from None
        for event in events:
            described.check(event)
        return await self.get(f"/sessions/{session['id']}/runs/{run_id}"), events

    async def run(
        self, repository: Repository, command: str | None = None, **body: Any
    ) -> tuple[Json, Json, list[Json]]:
        """Posts a session and waits: session, run, events."""
        session = await self.session(repository, **({"command": command} if command else {}), **body)
        run, events = await self.finished(session)
        return await self.get(f"/sessions/{session['id']}"), run, events


async def until(holds: Callable[[], bool], what: str, *, seconds: float = WAIT_SECONDS) -> None:
    """Waits for what takes a moment; when it never comes, the test says what is missing."""
    end = time.monotonic() + seconds * slowness()
    while not await asyncio.to_thread(holds):
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(0.05)


def data_of(events: list[Json], kind: str) -> list[Json]:
    """Of the events of one type, in their order."""
    return [event["data"] for event in events if event["type"] == kind]


def output(events: list[Json], step: str = "execute") -> str:
    """What a step of the run wrote."""
    return "".join(e["data"]["text"] for e in events if e["type"] == "output" and e["data"]["step"] == step)


@asynccontextmanager
async def app_rig(*, warm: bool = False, **settings: str) -> AsyncIterator[tuple[Rig, Installation]]:
    """A started rig whose tokens are those of a GitHub App that is installed on `acme`; no other token is known."""
    private, public = app_key()
    folder = Path(tempfile.mkdtemp(prefix="gitward-test-key-"))
    key = folder / "app.pem"
    key.write_bytes(private)
    key.chmod(0o600)
    made: list[Installation] = []

    def register(github: StandIn) -> dict[str, str]:
        app = github.add_app("widget-bot", public_key=public)
        made.append(github.install_app(app, "acme"))
        return {"GITHUB_APP_ID": str(app.id), "GITHUB_APP_PRIVATE_KEY_FILE": str(key), "GITHUB_TOKEN": ""}

    try:
        async with _started(register, {}, settings, warm=warm) as service:
            yield service, made[0]
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def rig(
    register: Callable[[StandIn], dict[str, str]] | None = None,
    disks: Mapping[str, int | str] | None = None,
    **settings: str,
) -> AbstractAsyncContextManager[Rig]:
    """A started rig in a folder that the sandbox's own user can pass through.

    :param disks: folders below its root that shall be disks of their own, of so many MiB or with such options of tmpfs.
    :param register: what else GitHub must know, before the start; more settings that come of it.
    """
    return _started(register, disks or {}, settings, warm=False)


def warm_rig(
    register: Callable[[StandIn], dict[str, str]] | None = None, **settings: str
) -> AbstractAsyncContextManager[Rig]:
    """The same, with a warm service: for tests that are not about what `warm_services` tells apart."""
    return _started(register, {}, settings, warm=True)


@asynccontextmanager
async def _started(
    register: Callable[[StandIn], dict[str, str]] | None,
    disks: Mapping[str, int | str],
    settings: dict[str, str],
    *,
    warm: bool,
) -> AsyncIterator[Rig]:
    root = Path(tempfile.mkdtemp(prefix="gitward-test-"))
    root.chmod(0o711)
    github = StandIn(root / "github")
    made = Rig(root, github, warm=warm)
    small = ExitStack()
    try:
        prefix = small.enter_context(mounted({root / folder: size for folder, size in disks.items()}))
        await github.start()
        github.add_user(LOGIN, name="The Octocat", email="octocat@example.com")
        more = register(github) if register else {}
        made = Rig(root, github, warm=warm, **more, **settings)
        made.prefix = prefix
        github.add_token(made.token, Token(login=LOGIN, scopes=("repo", "user:email", "workflow")))
        await made.start()
        held_loops.recorder.follow(made.log)
        yield made
    finally:
        if made.process is not None and made.process.returncode is None:
            await made.stop()
        await github.stop()
        small.close()
        held_loops.recorder.leave(made.log)
        await asyncio.to_thread(shutil.rmtree, root, ignore_errors=True)
