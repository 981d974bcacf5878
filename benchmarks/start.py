"""How long `gitward serve` takes until it is ready, on a quiet machine and beside busy loops."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure, median
from gitward.settings.environment import clean_environment

ROUNDS = 5
LOOPS = 4


async def start() -> list[Figure]:
    """The first start makes the database and is not counted."""
    with tempfile.TemporaryDirectory(prefix="gitward-bench-") as name:
        root = Path(name)
        root.chmod(0o711)
        first = await _until_ready(root)
        quiet = [await _until_ready(root) for _ in range(ROUNDS)]
        with _busy_loops():
            busy = [await _until_ready(root) for _ in range(ROUNDS)]
    return [
        Figure(
            name="start",
            value=f"{median(quiet):.2f} s",
            meaning=f"until ready; the first, with a new database {first:.2f} s",
        ),
        Figure(
            name="start beside busy loops",
            value=f"{median(busy):.2f} s",
            meaning=f"{LOOPS} of `yes`; the slowest {max(busy):.2f} s",
        ),
    ]


async def _until_ready(root: Path) -> float:
    environment = clean_environment(
        GITHUB_TOKEN="ghp_" + "0" * 36, GITWARD_DATA_DIR=str(root / "data"), GITWARD_PORT="0"
    )
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gitward", "serve"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd=root,
    )
    assert process.stdout is not None
    async with asyncio.timeout(120):
        line = await process.stdout.readline()
        seconds = time.monotonic() - began
        process.terminate()
        await process.wait()
    if not line.startswith(b"Gitward is ready"):
        raise RuntimeError("the service did not start")
    return seconds


@contextlib.contextmanager
def _busy_loops() -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for _ in range(LOOPS):
            loop = stack.enter_context(subprocess.Popen(["yes"], stdout=subprocess.DEVNULL))
            stack.callback(loop.kill)
        yield
