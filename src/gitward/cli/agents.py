"""`gitward agents`: which there are, and their installation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from gitward.agents.agents_file import Catalogue, WrongAgentsFile, read_catalogue
from gitward.agents.catalogue import NODE, Agent
from gitward.agents.installation import Installation
from gitward.agents.installed import Agents, Offer
from gitward.cli.data_folder import prepare_data_dir
from gitward.cli.egress import secret_sources
from gitward.errors import SettingsError
from gitward.settings.environment import installers_environment
from gitward.settings.fields import Settings

_WIDTH = 120  # of a table that is no terminal's


def catalogue_of(settings: Settings) -> Catalogue:
    """:raises SettingsError: GITWARD_AGENTS_FILE cannot be understood."""
    try:
        return read_catalogue(settings.agents_file)
    except WrongAgentsFile as error:
        raise SettingsError([f"GITWARD_AGENTS_FILE: {problem}" for problem in error.problems]) from None


def agents_of(settings: Settings) -> Agents:
    """:raises SettingsError: what the settings say of agents or of secrets cannot be used."""
    keys = [(target.host, target.port) for target in secret_sources(settings).targets]
    return Agents(catalogue_of(settings), settings.agents_dir, keys)


def show(settings: Settings, *, as_json: bool) -> None:
    agents = agents_of(settings)
    offers = agents.offers()
    if as_json:
        print(json.dumps({"default": agents.default(), "agents": [asdict(each) for each in offers]}, indent=1))
        return
    _print_table(offers)


def install(settings: Settings, names: Sequence[str]) -> None:
    """:raises SettingsError: a name is unknown.
    :raises InstallationFailed
    """
    catalogue = catalogue_of(settings)
    chosen = [_chosen(catalogue, name) for name in dict.fromkeys(names) if name != NODE]
    if settings.agents_folder is None:
        prepare_data_dir(settings.data_dir)
    installation = Installation(
        folder=settings.agents_dir.absolute(),
        environment=installers_environment(),
        tell=lambda line: print(line, flush=True),
    )
    if not installation.install(chosen):
        print("Everything is already installed.")


def _chosen(catalogue: Catalogue, name: str) -> Agent:
    agent = catalogue.agents.get(name)
    if agent is None:
        raise SettingsError([f"agents install: there is no agent {name!r}; there are {', '.join(catalogue.agents)}"])
    return agent


def _print_table(offers: Sequence[Offer]) -> None:
    table = Table("agent", "version", "ready", "", box=None, pad_edge=False, header_style="")
    for each in offers:
        table.add_row(each.name, each.version or "", "yes" if each.ready else "no", each.reason or each.title)
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console = Console(markup=False, highlight=False, width=_WIDTH)
    console.print(table)
