"""`gitward environments`: which there are, adding and removing one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from gitward.cli.data_folder import check_way_to, prepare_data_dir
from gitward.cli.derived_settings import environments_of
from gitward.environments.adding import Adder
from gitward.environments.catalogue import HOST
from gitward.environments.store import Store, Stored, Unusable
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.settings.environment import registry_environment
from gitward.settings.fields import Settings
from gitward.settings.values import MiB

_WIDTH = 120  # of a table that is no terminal's
_SLOTS = 2  # sandboxes at the same time: the engine's trial, and ours


def show(settings: Settings, *, as_json: bool) -> None:
    environments = environments_of(settings)
    offers = environments.offers()
    if as_json:
        document = {"default": environments.default, "environments": [asdict(each) for each in offers]}
        print(json.dumps(document, indent=1))
        return
    store = Store(settings.environments_dir)
    table = Table("environment", "ready", "MiB", "from", box=None, pad_edge=False, header_style="")
    for each in offers:
        size = "" if each.bytes is None else str(each.bytes // MiB)
        table.add_row(each.name, "yes" if each.ready else "no", size, each.reason or _source(store, each.name))
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console = Console(markup=False, highlight=False, width=_WIDTH)
    console.print(table)


def _source(store: Store, name: str) -> str:
    stored = None if name == HOST else store.get(name)
    return "this machine" if stored is None else stored.source


def add(settings: Settings, name: str, source: str, env: Sequence[str]) -> None:
    """:raises Unusable: nothing changed; the sentence says why.
    :raises SandboxError: this machine cannot hold a sandbox.
    """
    if settings.environments_folder is None:
        prepare_data_dir(settings.data_dir)
    check_way_to(settings.environments_dir)
    stored = asyncio.run(_add(settings, name, source, env))
    print(f"{name} is ready: {stored.files:,} files, {stored.bytes // MiB} MiB, sha256:{stored.digest[:16]}")
    if settings.allowed_environments and name not in settings.allowed_environments:
        print(f"Sessions cannot name it yet: add {name} to GITWARD_ENVIRONMENTS and start Gitward again.")


async def _add(settings: Settings, name: str, source: str, env: Sequence[str]) -> Stored:
    engine = BubblewrapEngine(slots=_SLOTS)
    await engine.start()
    try:
        adder = Adder(
            store=Store(settings.environments_dir),
            engine=engine,
            limit_bytes=settings.environment_mib * MiB,
            environment=registry_environment(),
            tell=lambda line: print(line, flush=True),
        )
        return await adder.add(name, source, env)
    finally:
        await engine.stop()


def remove(settings: Settings, name: str) -> None:
    """:raises Unusable: there is none, or a run uses it."""
    store = Store(settings.environments_dir)
    with store.changing():
        if not store.remove(name):
            raise Unusable(f"There is no environment {name}; there are: {', '.join(store.names()) or 'none'}.")
    print(f"{name} is removed.")
