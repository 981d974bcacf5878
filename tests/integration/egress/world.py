"""A small Internet on loopback: servers with certificates of a company's own authority, and sandboxes beside it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from gitward.broker import BrokerConfig, BrokerEvent, Brokers, EgressConfig, InjectConfig, OpenGrant
from gitward.grants.grant import Grant
from gitward.sandboxes import Command, Limits, Sandbox, Stream
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.secrets import Secret

LOOPBACK = ("127.0.0.1",)
TOKEN = "ghp_" + "T0k3nT0k3nT0k3nT0k3nT0k3nT0k3nT0k3nT"


@contextlib.asynccontextmanager
async def serving(app: web.Application, tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    """The port on 127.0.0.1 that the application answers on."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@dataclass
class Told:
    """What the broker told."""

    events: list[BrokerEvent] = field(default_factory=list)
    more: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, event: BrokerEvent) -> None:
        self.events.append(event)
        self.more.set()

    @property
    def rules(self) -> list[str]:
        return [event.data["rule"] for event in self.events if event.type == "policy.denied"]

    async def denied(self, count: int) -> list[str]:
        """The rules that refused something, once there are `count`."""
        async with asyncio.timeout(20):
            while len(self.rules) < count:
                self.more.clear()
                await self.more.wait()
        return self.rules


def config(
    rules: str, *, ca_file: Path, names: Mapping[str, tuple[str, ...]], inject: Sequence[InjectConfig] = ()
) -> BrokerConfig:
    """A broker that takes loopback for the Internet."""
    return BrokerConfig(
        server_url="https://github.com",
        api_url="https://api.github.com",
        upstream_url="http://127.0.0.1:9",
        upstream_api_url="http://127.0.0.1:9",
        ca_file=str(ca_file),
        egress=EgressConfig(rules=rules, names=names, trusted=LOOPBACK),
        inject=tuple(inject),
    )


def new_grant(expires_at: float) -> Grant:
    return Grant(run_id="run-1", repository="octo/demo", push_ref="refs/heads/gitward/abc", expires_at=expires_at)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a command in the sandbox ended."""

    status: int
    out: str
    err: str


class Inside:
    """A sandbox whose broker opens other hosts."""

    def __init__(self, sandbox: Sandbox, told: Told, opened: OpenGrant) -> None:
        self.sandbox = sandbox
        self.told = told
        self.opened = opened
        self.heard = asyncio.Event()  # set by each output

    async def run(self, *argv: str, **env: str) -> Outcome:
        output: dict[Stream, bytearray] = {stream: bytearray() for stream in Stream}

        async def keep(stream: Stream, piece: bytes) -> None:
            output[stream] += piece
            self.heard.set()

        completed = await self.sandbox.run(Command(argv=argv, env=env, timeout_seconds=60), keep)
        assert completed.exit_code is not None
        out, err = (bytes(text).decode("utf-8", "replace") for text in output.values())
        return Outcome(status=completed.exit_code, out=out, err=err)

    @property
    def pid(self) -> int:
        """Of the broker's process."""
        assert self.opened.pid is not None
        return self.opened.pid

    async def bash(self, script: str, **env: str) -> Outcome:
        return await self.run("/bin/bash", "-c", script, **env)


@contextlib.asynccontextmanager
async def sandboxed(
    engine: BubblewrapEngine,
    folder: Path,
    broker_config: BrokerConfig,
    expires_at: float,
    *,
    injected: Sequence[Secret | None] = (),
) -> AsyncIterator[Inside]:
    """The real broker process and a real sandbox."""
    broker = Brokers(broker_config)
    await broker.start()
    told = Told()
    try:
        opened = await broker.open(new_grant(expires_at), Secret(TOKEN), told, injected=injected)
        sandbox = await engine.open(name="run-1", workspace=folder / "run-1", endpoint=opened, limits=Limits())
        try:
            yield Inside(sandbox, told, opened)
        finally:
            await sandbox.close()
    finally:
        await broker.stop()


def peak_memory(pid: int) -> int:
    """The most bytes that a process ever had resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024
