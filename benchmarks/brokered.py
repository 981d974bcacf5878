"""A broker with two runs' grants, and the upstream that it and everything else leads to."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from benchmarks.transfers import BIG, BRANCH, PUSHED, SMALL, Way
from gitward.broker import BrokerConfig, BrokerEvent, Brokers
from gitward.grants import clock
from gitward.grants.grant import Grant
from gitward.repositories.pack_inspection.inspector import PackInspector
from gitward.sandboxes import Limits
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.secrets import Secret
from gitward.settings import clean_environment


@asynccontextmanager
async def upstream(root: Path, chain: Path, token: str) -> AsyncIterator[str]:
    """The address of a git server with the repositories of `root`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.upstream", str(root / "repositories"), str(chain), token),
        stdout=asyncio.subprocess.PIPE,
        env=clean_environment(),
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            port = int(await process.stdout.readline())
        yield f"https://localhost:{port}"
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def brokered(
    root: Path, address: str, ca: Path, token: str, *, names: tuple[str, str]
) -> AsyncIterator[list[Way]]:
    """Two runs, each with its broker: the first with the rule about workflows, the second without.

    Each has one of the two ports, as GitHub's two hosts have one each.
    """
    async with _inspector(root) as inspector, AsyncExitStack() as sockets:
        listeners = [sockets.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in names]
        urls = [f"https://localhost:{listener.getsockname()[1]}" for listener in listeners]
        config = BrokerConfig(
            server_url=urls[0],
            api_url=f"{urls[1]}/api/v3",
            upstream_url=address,
            upstream_api_url=f"{address}/api/v3",
            ca_file=str(ca),
        )
        broker = Brokers(config)
        await broker.start()
        try:
            runs = [
                await broker.open(_grant(name, allow_workflows=name == names[1]), Secret(token), _refused, inspector)
                for name in names
            ]
            ways = []
            for number, (run, listener) in enumerate(zip(runs, listeners, strict=True)):
                await run.attach([listener])
                own_ca = root / f"run-{number}.pem"
                own_ca.write_bytes(run.ca_pem)
                way = Way(name=names[number], url=urls[number], ca=own_ca, credential=run.credential, pid=run.pid)
                ways.append(way)
            yield ways
        finally:
            await broker.stop()


@asynccontextmanager
async def _inspector(root: Path) -> AsyncIterator[PackInspector]:
    """Looks at pushes in real sandboxes."""
    folder = root / "pushes"
    for path in (root, folder):  # the sandbox's own user must get there
        path.mkdir(exist_ok=True)
        path.chmod(0o711)
    engine = BubblewrapEngine(slots=1)
    await engine.start()
    try:
        yield PackInspector(engine, folder, Limits())
    finally:
        await engine.stop()


def _grant(name: str, *, allow_workflows: bool) -> Grant:
    return Grant(
        run_id=name,
        repository=PUSHED,
        readable=(BIG, SMALL),
        push_ref=f"refs/heads/{BRANCH}",
        allow_workflows=allow_workflows,
        expires_at=clock.seconds() + 24 * 3600,
    )


def _refused(event: BrokerEvent) -> None:
    if event.type == "policy.denied":
        raise RuntimeError(f"the broker refused what the benchmark wants: {event.data}")
