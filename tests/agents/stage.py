"""A sandbox with one agent in it, whose broker leads to a stand-in model and holds the key."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gitward.agents.agents_file import Catalogue
from gitward.agents.catalogue import Agent
from gitward.agents.installed import Agents
from gitward.broker import BrokerConfig, BrokerEvent, Brokers, InjectConfig, ProxyConfig
from gitward.grants import clock
from gitward.grants.grant import Grant
from gitward.grants.model_calls import EVENT, ModelCall, ModelCalls
from gitward.sandboxes import Command, Limits, Sandbox, Shown, Stream
from gitward.sandboxes.bubblewrap import BubblewrapEngine
from gitward.secrets import Secret
from gitward.standin.model import StandInModel

KEY = "sk-ant-api03-CANARYcanaryCANARYcanary0123456789"
TOKEN = "ghp_" + "T0k3nT0k3nT0k3nT0k3nT0k3nT0k3nT0k3nT"
CHECKOUT = "/workspace/repo"
DRIVER = Path(__file__).with_name("driver.py")
TURN_SECONDS = 300.0  # bounds a hang


@dataclass(kw_only=True)
class Turn:
    """What an agent said and did."""

    lines: list[dict[str, Any]]
    exit_code: int | None
    stderr: str

    def answer(self, method: str) -> dict[str, Any]:
        found: dict[str, Any] = next(each for each in self.lines if each.get("method") == method)
        return found

    @property
    def stop_reason(self) -> str | None:
        result = self.answer("session/prompt").get("result") or {}
        return result.get("stopReason")


@dataclass(kw_only=True)
class Stage:
    """One open sandbox."""

    sandbox: Sandbox
    agents: Agents
    model: StandInModel
    calls: ModelCalls
    events: list[BrokerEvent] = field(default_factory=list)

    async def sh(self, script: str) -> str:
        return (await self._run(("/bin/bash", "-c", script), {}))[1]

    async def prepare(self, agent: Agent, *, model: str | None = None) -> tuple[tuple[str, ...], dict[str, str]]:
        """Its folders and files, as a run makes them; its argv and its variables."""
        start = self.agents.start(agent, model=model)
        await self.sh(f"mkdir -p {' '.join(start.folders)}")
        for path, text in start.files.items():
            await self.sandbox.write(path, text.encode())
        return start.argv, dict(start.env)

    async def turn(self, agent: Agent, prompt: str, *, model: str | None = None) -> Turn:
        argv, env = await self.prepare(agent, model=model)
        self.calls.begin()
        wish = {"argv": argv, "cwd": CHECKOUT, "mode": agent.mode, "prompt": prompt}
        await self.sandbox.write("/workspace/driver.py", DRIVER.read_bytes())
        code, out, err = await self._run(("python3", "/workspace/driver.py", json.dumps(wish)), env, cwd=CHECKOUT)
        return Turn(lines=[json.loads(line) for line in out.splitlines()], exit_code=code, stderr=err)

    async def _run(self, argv: tuple[str, ...], env: dict[str, str], cwd: str = "/workspace") -> tuple[int, str, str]:
        pieces: dict[Stream, bytearray] = {stream: bytearray() for stream in Stream}

        async def keep(stream: Stream, piece: bytes) -> None:
            pieces[stream] += piece

        command = Command(argv=argv, env=env, cwd=cwd, timeout_seconds=TURN_SECONDS)
        ended = await self.sandbox.run(command, keep)
        out, err = (bytes(pieces[stream]).decode("utf-8", "replace") for stream in (Stream.STDOUT, Stream.STDERR))
        return ended.exit_code, out, err


def injected(agent: Agent) -> tuple[InjectConfig, ...]:
    return tuple(
        InjectConfig(
            host=host.host,
            port=host.port,
            header=host.header,
            prefix=host.prefix,
            paths=host.paths,
            absent=host.absent,
            agents_only=True,
        )
        for host in agent.hosts
    )


@contextlib.asynccontextmanager
async def staged(
    folder: Path,
    engine: BubblewrapEngine,
    programs: Path,
    model: StandInModel,
    catalogue: Catalogue,
    agent: Agent,
    on_event: Callable[[BrokerEvent], None] = lambda _: None,
) -> AsyncIterator[Stage]:
    targets = injected(agent)
    proxy = urlsplit(model.proxy_url)
    assert proxy.hostname is not None
    assert proxy.port is not None
    config = BrokerConfig(
        server_url="https://github.com",
        api_url="https://api.github.com",
        upstream_url="http://127.0.0.1:9",
        upstream_api_url="http://127.0.0.1:9",
        ca_file=str(model.ca_file),
        inject=targets,
        proxy=ProxyConfig(host=proxy.hostname, port=proxy.port, exceptions="127.0.0.1"),
    )
    calls = ModelCalls()
    events: list[BrokerEvent] = []

    def hear(event: BrokerEvent) -> None:
        events.append(event)
        if event.type == EVENT:
            calls.saw(ModelCall.of(event.data))
        on_event(event)

    agents = Agents(catalogue, programs, [(each.host, each.port) for each in targets])
    brokers = Brokers(config)
    await brokers.start()
    try:
        grant = Grant(
            run_id="run-1",
            repository="octo/demo",
            push_ref="refs/heads/gitward/abc",
            expires_at=clock.seconds() + 900,
            is_agent=True,
        )
        opened = await brokers.open(grant, Secret(TOKEN), hear, injected=[Secret(KEY) for _ in targets])
        try:
            shown = [Shown(host=each.host, inside=each.inside, is_shared=True) for each in agents.folders(agent)]
            sandbox = await engine.open(
                name="run-1", workspace=folder / "workspace", endpoint=opened, limits=Limits(), shown=shown
            )
            try:
                stage = Stage(sandbox=sandbox, agents=agents, model=model, calls=calls, events=events)
                await stage.sh(f"git init -q {CHECKOUT} && cd {CHECKOUT} && echo hello > README.md && git add -A")
                yield stage
            finally:
                await sandbox.close()
        finally:
            await opened.close()
    finally:
        await brokers.stop()
        await asyncio.sleep(0)
