"""What the demo of an agent needs beside the stand-in GitHub: a stand-in model, and a key that nobody has."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gitward.agents.built_in import BUILT_IN
from gitward.agents.installed import Agents
from gitward.agents.model_hosts import KNOWN
from gitward.audit.local_service import World
from gitward.cli.agents import catalogue_of
from gitward.cli.demo_proof import Proof
from gitward.errors import SettingsError
from gitward.repositories.checkout import CHECKOUT_DIR
from gitward.settings.loading import load_settings
from gitward_standin.language_model import StandInModel


@dataclass(frozen=True, kw_only=True)
class Modelled:
    """A stand-in model that is ready, and how a service finds it."""

    model: StandInModel
    key: str
    settings: Mapping[str, str]

    async def proof(self, around: World) -> Proof:
        asked = {each.key for each in self.model.calls}
        kept_out = await asyncio.to_thread(_is_nowhere, self.key.encode(), around.data, around.log)
        claim = "the model received the operator's key, which is nowhere in the service's data folder"
        return Proof(claim=claim, holds=asked == {self.key} and kept_out)


@contextlib.asynccontextmanager
async def modelled_world() -> AsyncIterator[Modelled]:
    """The model, under the names of the providers, behind a proxy that leads nowhere else."""
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="gitward-demo-model-"))
    key = f"sk-demo-{secrets.token_urlsafe(24)}"
    model = StandInModel.demo(folder, checkout=CHECKOUT_DIR, key=key)
    try:
        await model.start()
        yield Modelled(
            model=model,
            key=key,
            settings={
                **{host.variable: key for host in KNOWN},
                "GITWARD_AGENTS_DIR": str(load_settings().agents_dir.absolute()),
                "HTTPS_PROXY": model.proxy_url,
                "NO_PROXY": "127.0.0.1",
                "SSL_CERT_FILE": str(model.ca_file),
            },
        )
    finally:
        await model.stop()
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _is_nowhere(key: bytes, data: Path, log: Path) -> bool:
    """Blocks: it reads the demo's few files."""
    files = [log, *(Path(folder, name) for folder, _, names in os.walk(data) for name in names)]
    for path in files:
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and not path.is_symlink() and key in path.read_bytes():
                return False
    return True


def check_agent(name: str) -> None:
    """:raises SettingsError: there is no such agent, or it is not installed."""
    settings = load_settings()
    if name not in BUILT_IN:
        raise SettingsError([f"demo: there is no agent {name!r}; there are {', '.join(BUILT_IN)}"])
    problem = Agents(catalogue_of(settings), settings.agents_dir).missing_program(BUILT_IN[name])
    if problem is not None:
        raise SettingsError([f"demo: {problem}"])
