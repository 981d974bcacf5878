"""The machine: its programs, its sandbox, and the agents that run in it."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import AsyncIterator
from functools import partial

from gitward.agents.catalogue import Agent
from gitward.agents.installed import Agents
from gitward.cli import programs
from gitward.cli.agent_trial import NotStarted, initialise
from gitward.cli.agents import catalogue_of
from gitward.cli.derived_settings import sandbox_limits
from gitward.cli.doctor.findings import Finding, fail, ok, warn
from gitward.cli.doctor.parts import Findings, in_thread
from gitward.cli.tools import PACKAGES
from gitward.sandboxes import Guard
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.settings.environment import clean_environment
from gitward.settings.fields import Settings
from gitward.settings.values import LimitsMode

_GH_VERSION = re.compile(r"gh version (\d{1,6})\.(\d{1,6})\.", re.ASCII)
_GH_OF_TODAY = (2, 82)  # older ones ask for classic projects here or there: https://github.com/cli/cli/issues/11983
_VERSION_SECONDS = 10.0


async def look_at_programs(settings: Settings) -> Findings:
    for program in PACKAGES:
        path = programs.path_of(program, settings)
        if path is None:
            yield fail(program, programs.missing(program))
        elif program == "gh":
            yield await _gh(path)
        else:
            yield ok(program, path)


async def _gh(path: str) -> Finding:
    """Whether github.com still answers all that it asks. Gitward's own steps work with any."""
    done = await in_thread(partial(_version_of, path))
    found = _GH_VERSION.match(done)
    if found is None:
        return warn("gh", f"{path} tells no version", f"run: {path} --version")
    version = (int(found[1]), int(found[2]))
    if version >= _GH_OF_TODAY:
        return ok("gh", path)
    old, today = (".".join(map(str, each)) for each in (version, _GH_OF_TODAY))
    detail = f"{path} is {old}: on github.com its `pr view`, `pr edit` and `issue view` may fail in the sandbox"
    return warn("gh", detail, f"if commands need them, install gh {today} or newer in /usr/local/bin")


def _version_of(path: str) -> str:
    """Empty when it does not say."""
    try:
        done = subprocess.run(
            (path, "--version"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=clean_environment(),
            timeout=_VERSION_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout[:200].decode("utf-8", "replace")


async def look_at_sandbox(settings: Settings) -> Findings:
    """Tries one out."""
    async with _engine(settings) as engine:
        yield ok("sandbox", "a command ran in bubblewrap")
        for guard in await engine.probe():
            yield _limit(guard, is_strict=settings.limits is LimitsMode.STRICT)


@contextlib.asynccontextmanager
async def _engine(settings: Settings) -> AsyncIterator[BubblewrapEngine]:
    """:raises SandboxError: no sandbox can be made here."""
    engine = BubblewrapEngine(slots=1, tool_paths=settings.tool_paths)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


def _limit(guard: Guard, *, is_strict: bool) -> Finding:
    name, detail = f"limit: {guard.name}", f"{guard.holds}: {guard.how}"
    if guard.holds != "none":
        return ok(name, f"{detail} ({guard.remedy})" if guard.remedy else detail)
    return (fail if is_strict else warn)(name, detail, guard.remedy or "run on a machine that can enforce it")


async def look_at_agents(settings: Settings, keys: list[tuple[str, int]], *, starts: bool) -> Findings:
    """Those that are installed, or that the operator's file names; whether each starts, if that is wanted."""
    agents = Agents(catalogue_of(settings), settings.agents_dir, keys)
    known = [agent for name in agents.names if (agent := agents.get(name)) is not None]
    missing = await in_thread(lambda: {agent.name: agents.missing_program(agent) for agent in known})
    installed = [agent for agent in known if missing[agent.name] is None]
    for agent in known:
        if missing[agent.name] is None and not starts:
            yield _keyed(agents, agent)
        elif missing[agent.name] is not None and (starts or agent.name == agents.named_default):
            yield fail(f"agent: {agent.name}", str(missing[agent.name]))
    if not installed and not starts and agents.named_default is None:
        yield ok("agents", "none is installed, so prompts are refused; to add one: gitward agents install NAME")
    if starts and installed:
        async with _engine(settings) as engine:
            for agent in installed:
                yield await _started(settings, agents, agent, engine)


def _keyed(agents: Agents, agent: Agent) -> Finding:
    lacking = agents.missing_key(agent)
    version = f" {agent.version}" if agent.version else ""
    if lacking is None:
        return ok(f"agent: {agent.name}", f"{agent.title}{version} is installed, and there is a key for its model")
    verdict = fail if agent.name == agents.named_default else warn
    return verdict(f"agent: {agent.name}", f"{agent.title}{version} is installed, but not ready", lacking)


async def _started(settings: Settings, agents: Agents, agent: Agent, engine: BubblewrapEngine) -> Finding:
    """It need not have a key for that."""
    name, folder = f"agent: {agent.name}", settings.data_dir / "workspaces"
    limits, seconds = sandbox_limits(settings), settings.agent_start_seconds
    try:
        told = await initialise(agents, agent, engine, folder, limits, seconds=seconds)
    except NotStarted as error:
        return fail(name, str(error))
    lacking = agents.missing_key(agent)
    detail = f"{told} started in a sandbox"
    return ok(name, f"{detail}; there is a key") if lacking is None else warn(name, detail, lacking)
