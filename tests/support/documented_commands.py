"""Runs shell commands as a page has them, with their folders below one of the test's."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys
from pathlib import Path

import documented
from gitward.settings.environment import clean_environment

_FOLDERS = ("/var/backups", "/var/lib/gitward")
_SECONDS = 100.0


def lines(page: str, heading: str) -> list[list[str]]:
    """Of each shell block under a heading of the page."""
    found = [each for each in documented.blocks(page) if (each.heading, each.language) == (heading, "sh")]
    return [block.text.splitlines() for block in found]


async def run(line: str, folder: Path, **environment: str) -> str:
    """What it printed; it must succeed."""
    for name in _FOLDERS:
        line = line.replace(name, f"{folder}{name}")
    words = shlex.split(re.sub(r"\$\{?(\w+)(?::\?\})?", lambda name: environment[name[1]], line))
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
