"""Somebody who reads the documentation, and types what it shows beside a real service."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

from documented import ROOT
from gitward.settings.environment import clean_environment
from gitward_standin import Repository
from rig import RUN_SECONDS, Rig

# A curl that fails when the server refuses.
_PRELUDE = 'curl() { command curl --fail-with-body --max-time 100 "$@"; }\n'


class Reader:
    """A folder and a shell, with the variables that the pages use."""

    def __init__(self, there: Rig, folder: Path) -> None:
        self.there = there
        self.folder = folder
        (folder / ".venv").symlink_to(ROOT / ".venv")
        self.environment = {
            **there.environment,
            "GITWARD_URL": there.url,
            "GITWARD_JWT": there.jwt("dev"),
            "JWT": there.jwt("dev"),
            "AUTH": f"Authorization: Bearer {there.jwt('dev')}",
            "API": there.url,
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "BROWSER": "true",
            "PATH": f"{ROOT}/.venv/bin:/usr/local/bin:/usr/bin:/bin",
        }

    async def types(self, script: str, **variables: str) -> str:
        """Runs a script as it stands; all that it printed.

        :param variables: what the page takes from an earlier step, such as `SESSION`.
        """
        script = script.replace("http://localhost:8000", self.there.url).replace(
            "http://127.0.0.1:8000", self.there.url
        )
        for name, value in variables.items():
            script = re.sub(rf"\b{name}=\w+_\.\.\.", f"{name}={value}", script)
        code, out = await self._run("bash", "-euo", "pipefail", "-c", _PRELUDE + script, **variables)
        assert code == 0, out
        return out

    async def python(self, program: str) -> str:
        code, out = await self._run(sys.executable, "-c", program)
        assert code == 0, out
        return out

    async def _run(self, *argv: str, **variables: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=self.folder,
            env=clean_environment(**{**self.environment, **variables}),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(RUN_SECONDS):
            out, _ = await process.communicate()
        return process.returncode, out.decode(errors="replace")


async def clone(reader: Reader, repository: Repository) -> None:
    """The reader stands in a clone of the repository, whose remote looks as GitHub's."""
    address, path = "https://github.com/owner/repo.git", repository.path
    await reader.types(
        f"git clone --quiet {path} clone\ngit -C clone remote set-url origin {address}\n"
        f"git config --global url.{path}.insteadOf {address}\n"
        "git config --global user.name A\ngit config --global user.email a@example.com\n"
    )
    reader.folder = reader.folder / "clone"


def documents(out: str) -> list[dict[str, Any]]:
    """The JSON documents that follow one another in what curl printed."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while (at := out.find("{", at)) >= 0:
        document, at = decoder.raw_decode(out, at)
        found.append(document)
    return found
