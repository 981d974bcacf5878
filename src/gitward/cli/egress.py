"""What the settings say of hosts beside GitHub's, checked."""

from __future__ import annotations

from gitward.broker import EgressConfig
from gitward.broker.egress.addresses import parse_networks
from gitward.broker.egress.rules import parse_rules
from gitward.broker.inject.rules import parse_injections
from gitward.broker.inject.sources import SecretSources
from gitward.errors import SettingsError
from gitward.settings import Settings


def secret_sources(settings: Settings) -> SecretSources:
    """Takes the variables that hold the secrets out of the environment.

    :raises SettingsError: an entry cannot be understood, or its secret cannot be read.
    """
    try:
        sources = SecretSources(parse_injections(settings.inject))
    except ValueError as error:
        raise SettingsError([f"GITWARD_INJECT: {line}" for line in str(error).splitlines()]) from None
    if problems := sources.problems():
        raise SettingsError([f"GITWARD_INJECT: {problem}" for problem in problems])
    return sources


def egress_config(settings: Settings) -> EgressConfig:
    """:raises SettingsError: one line for each entry that cannot be understood."""
    problems: list[str] = []
    rules: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    try:
        rules = tuple(str(rule) for rule in parse_rules(settings.egress))
    except ValueError as error:
        problems += [f"GITWARD_EGRESS: {line}" for line in str(error).splitlines()]
    try:
        private = parse_networks(settings.egress_private)
    except ValueError as error:
        problems += [f"GITWARD_EGRESS_PRIVATE: {line}" for line in str(error).splitlines()]
    if problems:
        raise SettingsError(problems)
    return EgressConfig(rules=",".join(rules), private=private)
