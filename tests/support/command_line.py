"""The command line as a process of its own."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from gitward.settings.environment import clean_environment

SECONDS = 300.0  # on a busy machine; the longest command is the audit


async def gitward(*arguments: str, cwd: Path, **settings: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gitward", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=cwd,
        env=clean_environment(**settings),
    )
    async with asyncio.timeout(SECONDS):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()
