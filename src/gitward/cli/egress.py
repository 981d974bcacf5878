"""Checks the settings for hosts beside GitHub's."""

from __future__ import annotations

from gitward.broker import EgressConfig
from gitward.broker.client.injected_secrets import SecretSources
from gitward.broker.policy.egress.addresses import parse_networks
from gitward.broker.policy.egress.rules import parse_rules
from gitward.broker.policy.inject.rules import parse_injections
from gitward.broker.wire.config import address_of
from gitward.errors import SettingsError
from gitward.settings import Settings


def secret_sources(settings: Settings) -> SecretSources:
    """Takes the variables that hold the secrets out of the environment.

    :raises SettingsError: an entry cannot be understood, or its secret cannot be read.
    """
    try:
        injections = parse_injections(settings.inject, own=_hosts_of_github(settings))
    except ValueError as error:
        raise SettingsError([f"GITWARD_INJECT: {line}" for line in str(error).splitlines()]) from None
    sources = SecretSources(injections)
    if problems := sources.problems():
        raise SettingsError([f"GITWARD_INJECT: {problem}" for problem in problems])
    return sources


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
