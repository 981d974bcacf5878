"""Checks the settings for hosts beside GitHub's."""

from __future__ import annotations

from collections.abc import Sequence

from gitward.agents.model_hosts import KNOWN
from gitward.broker import EgressConfig, InjectConfig
from gitward.broker.client.injected_secrets import SecretSources
from gitward.broker.policy.egress.addresses import parse_networks
from gitward.broker.policy.egress.rules import parse_rules
from gitward.broker.policy.inject.rules import Injection, parse_injections
from gitward.broker.wire.config import address_of
from gitward.errors import SettingsError
from gitward.settings.environment import is_exported
from gitward.settings.fields import Settings
from gitward.settings.secret_reader import SecretReader, is_set


def secret_sources(settings: Settings) -> SecretSources:
    """Takes the variables that hold the secrets out of the environment.

    :raises SettingsError: an entry cannot be understood, or its secret cannot be read.
    """
    sources = SecretSources(injections_of(settings))
    if problems := sources.problems():
        raise SettingsError(problems)
    return sources


def injections_of(settings: Settings) -> list[Injection]:
    """What GITWARD_INJECT names, then the keys of models. Blocks on a small file.

    :raises SettingsError: an entry cannot be understood.
    """
    try:
        injections = parse_injections(settings.inject, own=_hosts_of_github(settings))
    except ValueError as error:
        raise SettingsError([f"GITWARD_INJECT: {line}" for line in str(error).splitlines()]) from None
    return [*injections, *model_injections(settings, injections)]


def model_injections(settings: Settings, named: Sequence[Injection]) -> list[Injection]:
    """The keys of the providers that agents know, so far as they are set. Where GITWARD_INJECT names the host or the
    variable, the operator has decided what becomes of it. Blocks on a small file."""
    places = {(each.target.host, each.target.port) for each in named}
    variables = {each.variable for each in named}
    found: list[Injection] = []
    for host in KNOWN:
        source = _source(settings, host.variable)
        if host.place in places or host.variable in variables or source is None:
            continue
        target = InjectConfig(
            host=host.host,
            port=host.port,
            header=host.header,
            prefix=host.prefix,
            paths=host.paths,
            absent=host.absent,
            agents_only=True,
        )
        found.append(Injection(target=target, source=source))
    return found


def _source(settings: Settings, variable: str) -> str | None:
    """Where a key is read; what is exported comes before a file, and that before `.env`."""
    file = settings.model_key_files.get(variable)
    if is_exported(variable) or (file is None and is_set(variable)):
        return variable
    return None if file is None else f"file:{file}"


def seal_model_keys() -> None:
    """For a process that needs none of them: no child of it shall inherit one."""
    SecretReader([host.variable for host in KNOWN])


def _hosts_of_github(settings: Settings) -> list[str]:
    """As the sandbox sees them; where they really are may be a gateway that serves other things too."""
    return [address_of(url).host for url in (settings.github_server_url, settings.github_api_url)]


def egress_config(settings: Settings) -> EgressConfig:
    """:raises SettingsError: one line for each entry that cannot be understood."""
    problems: list[str] = []
    rules: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    try:
        rules = tuple(str(rule) for rule in parse_rules(settings.egress, own=_hosts_of_github(settings)))
    except ValueError as error:
        problems += [f"GITWARD_EGRESS: {line}" for line in str(error).splitlines()]
    try:
        private = parse_networks(settings.egress_private)
    except ValueError as error:
        problems += [f"GITWARD_EGRESS_PRIVATE: {line}" for line in str(error).splitlines()]
    if problems:
        raise SettingsError(problems)
    return EgressConfig(rules=",".join(rules), private=private)
