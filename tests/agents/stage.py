"""A sandbox with one agent in it, whose broker leads to a stand-in model and holds the key."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gitward.agents.agents_file import Catalogue, parse_catalogue
from gitward.agents.catalogue import Agent
from gitward.agents.installed import Agents
from gitward.broker import BrokerConfig, BrokerEvent, Brokers, InjectConfig, OpenGrant, ProxyConfig
from gitward.grants import clock
from gitward.grants.grant import Grant
from gitward.grants.model_calls import EVENT, ModelCall, ModelCalls
from gitward.sandboxes import Command, Limits, Sandbox, Shown, Stream
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.secrets import Secret
from gitward_standin.language_model import StandInModel

KEY = "sk-ant-api03-CANARYcanaryCANARYcanary0123456789"
TOKEN = "ghp_" + "T0k3nT0k3nT0k3nT0k3nT0k3nT0k3nT0k3nT"
CHECKOUT = "/workspace/repo"
PROGRAMS = Path(__file__).parents[2] / ".tools" / "agents"  # by scripts/agents; what is missing fails its test
DRIVER = Path(__file__).parents[1] / "support" / "agent_by_hand.py"
TURN_SECONDS = 400.0  # bounds a hang
# An agent as an operator brings it.
QWEN: dict[str, object] = {
    "title": "Qwen Code",
    "program": str(PROGRAMS / "qwen"),
    "needs_node": True,
    "argv": ["{node}", "{program}/node_modules/@qwen-code/qwen-code/cli.js", "--acp", "--auth-type", "openai"],
    "env": {
        "QWEN_HOME": "{folder}",
        "OPENAI_BASE_URL": "https://api.openai.com/v1",
        "OPENAI_MODEL": "{model}",
    },
    "hosts": ["api.openai.com"],
    "mode": "yolo",
    "model": "qwen3-coder",
    "model_setting": "start",
    "conversation": ["projects/**/chats/*.jsonl"],
}


def catalogue() -> Catalogue:
    return parse_catalogue({"agents": {"qwen": QWEN}})


@dataclass(kw_only=True)
class Turn:
    """What an agent said and did."""

    lines: list[dict[str, Any]]
    exit_code: int | None
    stderr: str

    def answer(self, method: str) -> dict[str, Any]:
        found: dict[str, Any] = next((each for each in self.lines if each.get("method") == method), {})
        return found

    @property
    def stop_reason(self) -> str | None:
        return (self.answer("session/prompt").get("result") or {}).get("stopReason")

    def __str__(self) -> str:
        return "\n".join([*(str(line)[:600] for line in self.lines[-20:]), self.stderr[-2000:]])


@dataclass(kw_only=True)
class Heard:
    """What the broker told."""

    calls: ModelCalls = field(default_factory=ModelCalls)
    events: list[BrokerEvent] = field(default_factory=list)

    def __call__(self, event: BrokerEvent) -> None:
        self.events.append(event)
        if event.type == EVENT:
            self.calls.saw(ModelCall.of(event.data))

    @property
    def refusals(self) -> list[str]:
        return [event.data["message"] for event in self.events if event.type == "policy.denied"]


@dataclass(kw_only=True)
class Stage:
    """One open sandbox."""

    agent: Agent
    agents: Agents
    sandbox: Sandbox
    model: StandInModel
    heard: Heard

    @property
    def calls(self) -> ModelCalls:
        return self.heard.calls

    async def sh(self, script: str) -> str:
        return (await self._run(("/bin/bash", "-c", script), {}))[1]

    async def turn(
        self, prompt: str, *, model: str | None = None, seconds: float = TURN_SECONDS, linger: float = 0
    ) -> Turn:
        """Its folders and files as a run makes them, and one prompt; for so many seconds at most. It may go on for
        `linger` seconds."""
        start = self.agents.start(self.agent, model=model)
        await self.sh(f"mkdir -p {' '.join(start.folders)}")
        for path, text in start.files.items():
            await self.sandbox.write(path, text.encode())
        self.calls.begin()
        wish = {"argv": start.argv, "cwd": CHECKOUT, "mode": self.agent.mode, "prompt": prompt, "linger": linger}
        await self.sandbox.write("/workspace/driver.py", DRIVER.read_bytes())
        argv = ("python3", "/workspace/driver.py", json.dumps(wish))
        code, out, err = await self._run(argv, dict(start.env), cwd=CHECKOUT, seconds=seconds)
        await self.calls.settled(seconds=20)
        return Turn(lines=[json.loads(line) for line in out.splitlines()], exit_code=code, stderr=err)

    async def places_of_key(self) -> str:
        """Where half of the key is inside: files that are written, variables."""
        half = KEY[:20]
        places = "/workspace /home/gitward /tmp /run"
        return (await self.sh(f"grep -rl {half} {places} 2>/dev/null; env | grep {half}")).strip()

    async def _run(
        self, argv: tuple[str, ...], env: dict[str, str], cwd: str = "/workspace", seconds: float = TURN_SECONDS
    ) -> tuple[int, str, str]:
        pieces: dict[Stream, bytearray] = {stream: bytearray() for stream in Stream}

        async def keep(stream: Stream, piece: bytes) -> None:
            pieces[stream] += piece

        command = Command(argv=argv, env=env, cwd=cwd, timeout_seconds=seconds)
        ended = await self.sandbox.run(command, keep)
        out, err = (bytes(pieces[stream]).decode("utf-8", "replace") for stream in (Stream.STDOUT, Stream.STDERR))
        return ended.exit_code, out, err


@dataclass(frozen=True, kw_only=True)
class Theatre:
    """Where stages are made."""

    folder: Path
    engine: BubblewrapEngine
    model: StandInModel

    @contextlib.asynccontextmanager
    async def stage(self, name: str, **grant: Any) -> AsyncIterator[Stage]:
        agent = catalogue().agents[name]
        targets = _injected(agent)
        agents = Agents(catalogue(), PROGRAMS, [(each.host, each.port) for each in targets])
        heard = Heard()
        brokers = Brokers(self._config(targets))
        await brokers.start()
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(brokers.stop)
            opened = await brokers.open(
                replace(_grant(), **grant), Secret(TOKEN), heard, injected=[Secret(KEY) for _ in targets]
            )
            stack.push_async_callback(opened.close)
            sandbox = await self._open(agents, agent, opened)
            stack.push_async_callback(sandbox.close)
            stage = Stage(agent=agent, agents=agents, sandbox=sandbox, model=self.model, heard=heard)
            await stage.sh(f"git init -q {CHECKOUT} && cd {CHECKOUT} && echo hello > README.md && git add -A")
            yield stage

    def _config(self, targets: tuple[InjectConfig, ...]) -> BrokerConfig:
        proxy = urlsplit(self.model.proxy_url)
        assert proxy.hostname is not None
        assert proxy.port is not None
        return BrokerConfig(
            server_url="https://github.com",
            api_url="https://api.github.com",
            upstream_url="http://127.0.0.1:9",
            upstream_api_url="http://127.0.0.1:9",
            ca_file=str(self.model.ca_file),
            inject=targets,
            proxy=ProxyConfig(host=proxy.hostname, port=proxy.port, exceptions="127.0.0.1"),
        )

    async def _open(self, agents: Agents, agent: Agent, opened: OpenGrant) -> Sandbox:
        shown = [Shown(host=each.host, inside=each.inside, is_shared=True) for each in agents.folders(agent)]
        return await self.engine.open(
            name="run-1", workspace=self.folder / "workspace", endpoint=opened, limits=Limits(), shown=shown
        )


def _grant() -> Grant:
    return Grant(
        run_id="run-1",
        repository="octo/demo",
        push_ref="refs/heads/gitward/abc",
        expires_at=clock.seconds() + 900,
        is_agent=True,
    )


def _injected(agent: Agent) -> tuple[InjectConfig, ...]:
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
