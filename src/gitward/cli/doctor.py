"""`gitward doctor`: whether this machine can do the work, and which limits it enforces."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass

from gitward.agents.installed import Agents
from gitward.broker.client.injected_secrets import SecretSources
from gitward.cli.agent_trial import NotStarted, initialise
from gitward.cli.agents import catalogue_of
from gitward.cli.data_folder import check_way_to, prepare_data_dir
from gitward.cli.derived_settings import sandbox_limits
from gitward.cli.egress import egress_config, secret_sources
from gitward.cli.tokens import app_of, github_of
from gitward.cli.tools import PACKAGES
from gitward.errors import EXIT_CODE, Exit, RunFailure, SettingsError
from gitward.github.apps import KeyUnreadable
from gitward.github.credentials import kind_of
from gitward.github.retries import Patience, Retries
from gitward.sandboxes import SandboxError
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.settings.fields import Settings
from gitward.settings.token_reader import TokenReader, TokenUnreadable
from gitward.settings.values import LimitsMode
from gitward.store.database import Database

_SHORT_PATIENCE = Patience(total_seconds=5.0)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str


async def _examine(settings: Settings, tokens: TokenReader, *, with_agents: bool) -> AsyncIterator[Finding]:
    for program, package in PACKAGES.items():
        path = shutil.which(program)
        missing = f"not found; on Debian: apt-get install {package}"
        yield Finding(name=program, ok=path is not None, detail=path or missing)
    yield await _app(settings, tokens) if settings.github_app_id is not None else _token(tokens)
    yield _way_to_github(settings)
    yield await _storage(settings)
    try:
        sources = secret_sources(settings)
    except SettingsError as error:
        yield Finding(name="other hosts", ok=False, detail="; ".join(error.problems))
        sources = SecretSources()
    else:
        yield _other_hosts(settings, sources)
    engine = BubblewrapEngine(slots=1, tool_paths=settings.tool_paths)
    try:
        await engine.start()
    except SandboxError as error:
        yield Finding(name="sandbox", ok=False, detail=str(error))
        return
    try:
        yield Finding(name="sandbox", ok=True, detail="a command ran in bubblewrap")
        for guard in await engine.probe():
            ok = guard.holds != "none" or settings.limits is LimitsMode.BEST_EFFORT
            remedy = f" ({guard.remedy})" if guard.remedy else ""
            yield Finding(name=f"limit: {guard.name}", ok=ok, detail=f"{guard.holds}: {guard.how}{remedy}")
        if with_agents:
            async for finding in _agents(settings, sources, engine):
                yield finding
    finally:
        await engine.stop()


def _token(tokens: TokenReader) -> Finding:
    try:
        found = tokens.read()
    except TokenUnreadable as error:
        return Finding(name="token", ok=False, detail=str(error))
    if found is None:
        return Finding(name="token", ok=False, detail="GITHUB_TOKEN is not set; runs will fail with token_missing")
    secret, origin = found
    return Finding(name="token", ok=True, detail=f"{kind_of(secret)}, found in {origin}")


async def _app(settings: Settings, tokens: TokenReader) -> Finding:
    """Whether GitHub knows the App by its key."""
    github = github_of(settings)
    app = app_of(settings, github)
    assert app is not None
    try:
        app.read_key()
        slug = await app.slug(Retries(_SHORT_PATIENCE))
    except (KeyUnreadable, RunFailure) as error:
        return Finding(name="token", ok=False, detail=str(error))
    finally:
        await github.stop()
    unused = "; GITHUB_TOKEN is not used" if tokens.is_exported else ""
    return Finding(name="token", ok=True, detail=f"made by the GitHub App {slug}; GitHub accepts its key{unused}")


async def _storage(settings: Settings) -> Finding:
    try:
        prepare_data_dir(settings.data_dir)
        check_way_to(settings.data_dir)
        database = Database(settings.effective_database_url)
    except SettingsError as error:
        return Finding(name="storage", ok=False, detail=str(error))
    try:
        await database.ping()
    except Exception as error:  # noqa: BLE001 -- the edge: whatever the driver raises is the finding
        return Finding(name="storage", ok=False, detail=f"the database does not answer ({type(error).__name__})")
    finally:
        await database.stop()
    return Finding(name="storage", ok=True, detail=f"{settings.data_dir} and its database can be used")


def _way_to_github(settings: Settings) -> Finding:
    """Where job and broker connect to, and by which way."""
    ways: list[str] = []
    for url in dict.fromkeys((settings.effective_upstream_url, settings.effective_upstream_api_url)):
        proxy = settings.route.proxy_for_url(url)
        ways.append(f"{url} {'directly' if proxy is None else f'by the proxy {proxy}'}")
    return Finding(name="GitHub", ok=True, detail="; ".join(ways))


async def _agents(settings: Settings, sources: SecretSources, engine: BubblewrapEngine) -> AsyncIterator[Finding]:
    """Each agent that is installed, started in a sandbox; it need not have a key for that."""
    keys = [(target.host, target.port) for target in sources.targets]
    try:
        agents = Agents(catalogue_of(settings), settings.agents_dir, keys)
    except SettingsError as error:
        yield Finding(name="agents", ok=False, detail="; ".join(error.problems))
        return
    for name in agents.names:
        agent = agents.get(name)
        assert agent is not None
        try:
            told = await initialise(
                agents,
                agent,
                engine,
                settings.data_dir / "workspaces",
                sandbox_limits(settings),
                seconds=settings.agent_start_seconds,
            )
        except NotStarted as error:
            yield Finding(name=f"agent: {name}", ok=False, detail=str(error))
        else:
            key = agents.missing_key(agent) or "there is a key"
            yield Finding(name=f"agent: {name}", ok=True, detail=f"{told} started in a sandbox; {key}")


def _other_hosts(settings: Settings, sources: SecretSources) -> Finding:
    """What commands reach beside GitHub."""
    try:
        rules = egress_config(settings).rules.split(",")
    except SettingsError as error:
        return Finding(name="other hosts", ok=False, detail="; ".join(error.problems))
    injected = sources.targets
    hosts = ", ".join(dict.fromkeys(target.host for target in injected))
    opened = ", ".join(rules) or "none is open"
    return Finding(name="other hosts", ok=True, detail=f"{opened}; secrets for {hosts}" if hosts else opened)


async def _report(settings: Settings, tokens: TokenReader, *, with_agents: bool) -> int:
    well = True
    async for finding in _examine(settings, tokens, with_agents=with_agents):
        well = well and finding.ok
        print(f"{'ok  ' if finding.ok else 'FAIL'} {finding.name:<18} {finding.detail}", flush=True)
    return EXIT_CODE[Exit.SUCCEEDED if well else Exit.FAILED]


def run(settings: Settings, tokens: TokenReader, *, with_agents: bool = False) -> int:
    """The exit code: 0 when runs can succeed here; with agents, when each of them starts."""
    return asyncio.run(_report(settings, tokens, with_agents=with_agents))
