"""Mirrors with all that they need around them, everything real: git, bubblewrap, the broker's process."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from gitward.broker import BrokerConfig, Brokers, OpenGrant
from gitward.grants import clock
from gitward.grants.grant import Grant
from gitward.repositories.mirrors import Mirrors, Source
from gitward.repositories.refs import Refs
from gitward.sandboxes import Limits
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.secrets import Secret
from gitward.telemetry.metrics import Metrics, Moment
from gitward_standin import Repository, StandIn

MIB = 1024 * 1024
TOKEN = "ghp_" + "T0k3nT0k3nT0k3nT0k3nT0k3nT0k3nT0k3nT"
_RUNS = itertools.count(1)


async def git(*argv: str, cwd: Path, stdin: bytes = b"", env: dict[str, str] | None = None) -> str:
    """The output of a git command on the test's own side, which must succeed."""
    process = await asyncio.create_subprocess_exec(
        *("git", *argv),
        cwd=cwd,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"} | (env or {}),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(stdin)
    assert process.returncode == 0, (argv, err.decode())
    return out.decode("utf-8", "surrogateescape")


def source_of(brokers: Brokers, token: str, full_name: str, repository_id: int, *, size_kib: int = 0) -> Source:
    """A repository of the stand-in, for whoever has this token."""

    @contextlib.asynccontextmanager
    async def open_grant() -> AsyncIterator[OpenGrant]:
        grant = Grant(
            run_id=f"mirror-{next(_RUNS)}",
            repository=full_name,
            repository_id=repository_id,
            push_ref="refs/heads/none",
            expires_at=clock.seconds() + 3600,
        )
        opened = await brokers.open(grant, Secret(token), lambda _: None)
        try:
            yield opened
        finally:
            await opened.close()

    return Source(
        server_url="https://github.com",
        repository_id=repository_id,
        full_name=full_name,
        size_kib=size_kib,
        open_grant=open_grant,
    )


def broker_config(url: str, api_url: str) -> BrokerConfig:
    """Of a broker in front of a stand-in."""
    return BrokerConfig(
        server_url="https://github.com", api_url="https://api.github.com", upstream_url=url, upstream_api_url=api_url
    )


class World:
    """One data folder, with what its mirrors need around them."""

    def __init__(self, data: Path, github: StandIn, broker: Brokers, engine: BubblewrapEngine) -> None:
        self.data = data
        self.github = github
        self.broker = broker
        self.engine = engine
        self.metrics = Metrics()
        self.told: list[str] = []
        self.repository: Repository = github.repository("octo/demo")
        self.token = TOKEN
        self._snapshots = itertools.count(1)

    @contextlib.asynccontextmanager
    async def mirrors(
        self, *, limit_bytes: int = 1024 * MIB, limits: Limits | None = None, data: Path | None = None
    ) -> AsyncIterator[Mirrors]:
        mirrors = Mirrors(
            data or self.data,
            self.engine,
            limits=limits or Limits(),
            limit_bytes=limit_bytes,
            metrics=self.metrics,
        )
        await mirrors.start()
        try:
            yield mirrors
        finally:
            await mirrors.stop()

    def source(self, *, size_kib: int = 0, repository: Repository | None = None) -> Source:
        found = repository or self.repository
        return source_of(self.broker, self.token, found.full_name, found.id, size_kib=size_kib)

    async def tell(self, sentence: str) -> None:
        self.told.append(sentence)

    def snapshot(self) -> Path:
        """An empty folder for the objects of a run."""
        folder = self.data / f"snapshot-{next(self._snapshots)}"
        folder.mkdir()
        return folder

    async def take(self, mirrors: Mirrors, source: Source | None = None, **options: float) -> tuple[Refs, Path]:
        into = self.snapshot()
        return await mirrors.take(source or self.source(), into, self.tell, **options), into

    async def require_whole(self, refs: Refs, objects: Path, repository: Repository | None = None) -> None:
        """That git finds all that upstream has in this snapshot, and that the refs are upstream's."""
        upstream = repository or self.repository
        expected = await upstream.refs("refs/heads") | await upstream.refs("refs/tags")
        assert dict(refs) == expected
        bare = objects.with_name(objects.name + ".git")
        await git("init", "--quiet", "--bare", str(bare), cwd=objects)
        (bare / "objects/info/alternates").write_text(f"{objects}\n")
        (bare / "packed-refs").write_bytes(refs.raw)
        await git("fsck", "--full", "--strict", cwd=bare)
        tips = "".join(f"{oid}\n" for oid in set(expected.values())).encode()
        await git("rev-list", "--objects", "--stdin", "--quiet", cwd=bare, stdin=tips)
        shutil.rmtree(bare)

    def fetches(self) -> int:
        """How many times objects were asked for upstream."""
        return sum(_asks_for_objects(request.method, request.path) for request in self.github.requests)

    def conversations(self) -> int:
        """How many times a fetch was begun upstream."""
        return sum(request.path.endswith("/info/refs") for request in self.github.requests)

    def figure(self, name: str) -> float:
        """One line of what Prometheus is told; 0 when there is none."""
        for line in self.metrics.render(Moment()).decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.rpartition(" ")[2])
        return 0.0


def _asks_for_objects(method: str, path: str) -> bool:
    return method == "POST" and path.endswith("/git-upload-pack")
