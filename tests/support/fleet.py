"""An API and several workers as processes of their own, on one Postgres: what takeover is tried out on."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import held_loops
import warm_services
from gitward_standin import StandIn, Token
from rig import LOGIN, Rig
from warm_services import WarmService

START_SECONDS = 60.0


class WorkerProcess:
    """One `gitward worker` with a data folder of its own, as if on a machine of its own."""

    def __init__(self, name: str, rig: Rig, **settings: str) -> None:
        self.name = name
        self.root = rig.root / name
        self.data = self.root / "data"
        self.log = self.root / "worker.log"
        self.process: asyncio.subprocess.Process | WarmService | None = None
        self._is_warm = rig.warm
        self._environment = {**rig.environment, "GITWARD_DATA_DIR": str(self.data), **settings}

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    async def start(self) -> None:
        self.root.mkdir(mode=0o711, exist_ok=True)
        async with asyncio.timeout(START_SECONDS):
            self.process = await self._begun()
        assert self.process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            line = await self.process.stdout.readline()
        assert line == b"The worker is ready\n", self.log.read_text()[-3000:]
        held_loops.recorder.follow(self.log)

    async def _begun(self) -> asyncio.subprocess.Process | WarmService:
        with self.log.open("ab") as log:
            if self._is_warm:
                return await warm_services.start(
                    "worker", environment=self._environment, folder=self.root, stderr=log.fileno()
                )
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "gitward", "worker"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self._environment,
                cwd=self.root,
            )

    def send(self, sig: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(sig)

    async def stop(self, sig: signal.Signals = signal.SIGTERM) -> int:
        """Ends it and waits; its exit status. One that was stopped goes on first."""
        assert self.process is not None
        if self.process.returncode is None:
            self.send(sig)
            self.send(signal.SIGCONT)
        async with asyncio.timeout(300):
            return await self.process.wait()


class Fleet:
    """`gitward serve --no-worker` and workers. Start workers with `add`."""

    def __init__(self, rig: Rig, signs: Path) -> None:
        self.rig = rig
        self.signs = signs  # a folder that commands see too, at the same path; they cannot write
        self.workers: list[WorkerProcess] = []

    async def add(self, **settings: str) -> WorkerProcess:
        worker = WorkerProcess(f"worker-{len(self.workers) + 1}", self.rig, **settings)
        self.workers.append(worker)
        await worker.start()
        return worker

    async def stop(self) -> None:
        """Ends every process, however it is."""
        for worker in self.workers:
            held_loops.recorder.leave(worker.log)
            if worker.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    await worker.stop(signal.SIGKILL)


@asynccontextmanager
async def fleet(database_url: str, *, workers: int = 0, warm: bool = False, **settings: str) -> AsyncIterator[Fleet]:
    """A started one in a folder that the sandbox's own user can pass through.

    :param warm: the API and every worker, as `Rig` has it.
    """
    root = Path(tempfile.mkdtemp(prefix="gitward-fleet-"))
    root.chmod(0o711)
    github = StandIn(root / "github")
    signs = root / "signs"
    signs.mkdir()
    around = {"GITWARD_DATABASE_URL": database_url, "GITWARD_SANDBOX_PATHS": str(signs), **settings}
    rig = Rig(root, github, warm=warm, **around)
    made = Fleet(rig, signs)
    try:
        await github.start()
        github.add_user(LOGIN, name="The Octocat", email="octocat@example.com")
        github.add_token(rig.token, Token(login=LOGIN, scopes=("repo", "user:email", "workflow")))
        rig.environment |= {"GITWARD_UPSTREAM_URL": github.url, "GITWARD_UPSTREAM_API_URL": github.api_url}
        await rig.start("--no-worker")
        for _ in range(workers):
            await made.add()
        yield made
    finally:
        await made.stop()
        if rig.process is not None and rig.process.returncode is None:
            await rig.stop()
        await github.stop()
        await asyncio.to_thread(shutil.rmtree, root, ignore_errors=True)
