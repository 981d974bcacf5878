"""Sandboxed commands, timed one by one on the real engine."""

from __future__ import annotations

import time
from pathlib import Path

from gitward.sandboxes import Command, Limits
from gitward.sandboxes.bubblewrap import BubblewrapEngine
from gitward.sandboxes.fake import FakeEndpoint


async def sandboxed_commands(folder: Path, *, rounds: int) -> list[float]:
    """Seconds that each `true` took, from the call to its end."""
    folder.mkdir(mode=0o711)
    engine = BubblewrapEngine(slots=1)
    endpoint = FakeEndpoint()
    await engine.start()
    try:
        sandbox = await engine.open(name="bench", workspace=folder / "w", endpoint=endpoint, limits=Limits())
        command = Command(argv=("true",), timeout_seconds=10)
        seconds = []
        for _ in range(rounds + 5):
            began = time.monotonic()
            completed = await sandbox.run(command)
            seconds.append(time.monotonic() - began)
            if completed.exit_code != 0:
                raise RuntimeError(f"`true` ended with {completed.exit_code} in the sandbox")
        await sandbox.close()
        return seconds[5:]
    finally:
        await endpoint.close()
        await engine.stop()
