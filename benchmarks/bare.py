"""The same gh and git commands as a session's, run by a shell script beside no Gitward at all."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from benchmarks.world import REPOSITORY, TOKEN, World
from gitward.settings.environment import clean_environment


async def bare_commands(world: World, number: int) -> float:
    """The seconds that one round took. `number` names its branch and its home."""
    home = world.root / f"bare-{number}"
    home.mkdir()
    script = Path(__file__).with_name("bare.sh")
    environment = {**clean_environment(), "SSL_CERT_FILE": str(world.ca), "GIT_SSL_CAINFO": str(world.ca)}
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *("bash", str(script), REPOSITORY, f"bare/{number}", str(home)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
    )
    async with asyncio.timeout(60):
        out, _ = await process.communicate(TOKEN.encode())
    if process.returncode != 0:
        raise RuntimeError(f"the bare commands failed: {out.decode(errors='replace')[-1000:]}")
    return time.monotonic() - began
