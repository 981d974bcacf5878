"""The child processes that do a worker's work: they start while the rest of the program is still being loaded."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from gitward.broker import BrokerConfig, Brokers, ProxyConfig
from gitward.broker.client.injected_secrets import SecretSources
from gitward.cli.concurrent_entry import enter_both
from gitward.cli.egress import egress_config, secret_sources
from gitward.errors import SettingsError
from gitward.sandboxes import Guard
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.settings import Credentials, LimitsMode, Settings
from gitward.telemetry.logs import mask_secrets

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ChildProcesses:
    """The child processes that do a worker's work."""

    sandboxes: BubblewrapEngine
    guards: Sequence[Guard]
    brokers: Brokers
    injected: SecretSources

    def pids(self) -> list[int | None]:
        return [self.sandboxes.pid, *self.brokers.pids]

    def act_until(self, moment: float) -> None:
        """They stop by themselves when this moment of the boot clock has passed and no later one was told."""
        self.sandboxes.act_until(moment)
        self.brokers.act_until(moment)


@contextlib.asynccontextmanager
async def running_child_processes(settings: Settings) -> AsyncIterator[ChildProcesses]:
    """Launcher and brokers' parent, ready, with what was found out of this machine.

    :raises SettingsError: something that the settings name cannot be used.
    """
    injected = secret_sources(settings)
    config = broker_config(settings, injected)
    async with contextlib.AsyncExitStack() as stack:
        (sandboxes, guards), brokers = await enter_both(stack, _sandboxes(settings), _brokers(settings, config))
        yield ChildProcesses(sandboxes=sandboxes, guards=guards, brokers=brokers, injected=injected)


@contextlib.asynccontextmanager
async def _sandboxes(settings: Settings) -> AsyncIterator[tuple[BubblewrapEngine, Sequence[Guard]]]:
    # Three for each run: its own, one in which a push of it is looked at, one in which its repository is fetched;
    # and one for what mirrors do beside the runs.
    engine = BubblewrapEngine(slots=3 * settings.slots + 1, tool_paths=settings.tool_paths)
    await engine.start()
    try:
        guards = await engine.probe()
        _check_limits(settings, guards)
        yield engine, guards
    finally:
        await engine.stop()


@contextlib.asynccontextmanager
async def _brokers(settings: Settings, config: BrokerConfig) -> AsyncIterator[Brokers]:
    brokers = Brokers(config, proxy_login=settings.https_proxy.login if settings.https_proxy else None)
    await brokers.start()
    try:
        yield brokers
    finally:
        await brokers.stop()


def broker_config(settings: Settings, injected: SecretSources) -> BrokerConfig:
    """:raises SettingsError: what the settings say of other hosts cannot be understood."""
    return BrokerConfig(
        server_url=settings.github_server_url,
        api_url=settings.github_api_url,
        upstream_url=settings.effective_upstream_url,
        upstream_api_url=settings.effective_upstream_api_url,
        login_mode=settings.credentials is Credentials.LOGIN,
        ca_file=str(settings.ssl_cert_file) if settings.ssl_cert_file else None,
        egress=egress_config(settings),
        inject=injected.targets,
        proxy=_proxy_config(settings),
    )


def mask_proxy_login(settings: Settings) -> None:
    """The log masks its login."""
    if settings.https_proxy is not None:
        mask_secrets(settings.https_proxy.secrets, of="HTTPS_PROXY")


def _proxy_config(settings: Settings) -> ProxyConfig | None:
    proxy = settings.https_proxy
    return None if proxy is None else ProxyConfig(host=proxy.host, port=proxy.port, exceptions=settings.no_proxy)


def _check_limits(settings: Settings, guards: Sequence[Guard]) -> None:
    """:raises SettingsError: GITWARD_LIMITS is strict, and a limit cannot hold on this machine."""
    missing = [guard for guard in guards if guard.holds == "none"]
    if settings.limits is LimitsMode.STRICT and missing:
        raise SettingsError(
            [
                f"GITWARD_LIMITS: strict, but this machine cannot enforce the limit {each.name}: {each.remedy}"
                for each in missing
            ]
        )
    for guard in missing:
        log.warning("This machine cannot enforce the limit %s: %s", guard.name, guard.remedy)
