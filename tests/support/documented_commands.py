"""Runs shell commands as a page has them, with their folders below one of the test's."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys
from pathlib import Path

from gitward.settings.environment import clean_environment

PAGES = Path(__file__).parents[2] / "docs"
_FOLDERS = ("/var/backups", "/var/lib/gitward")
_SECONDS = 100.0


def blocks(page: str, section: str) -> list[list[str]]:
    """The lines of each shell block below a heading of the page."""
    text = (PAGES / page).read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    found = re.findall(r"^ *```sh\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    return [[line.strip() for line in block.splitlines()] for block in found]


async def run(line: str, folder: Path, **environment: str) -> str:
    """What it printed; it must succeed."""
    for name in _FOLDERS:
        line = line.replace(name, f"{folder}{name}")
    words = shlex.split(re.sub(r"\$(\w+)", lambda name: environment[name[1]], line))
    argv = [sys.executable, "-m", *words] if words[0] == "gitward" else words
    process = await asyncio.create_subprocess_exec(
        *argv,
        env=clean_environment(**environment),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(_SECONDS):
        out, _ = await process.communicate()
    assert process.returncode == 0, (line, out.decode())
    return out.decode()


def with_programs_of(postgres_program: str) -> str:
    """A search path with pg_dump, pg_restore and psql of the tests' own server."""
    return f"{Path(postgres_program).parent}:{os.environ['PATH']}"
