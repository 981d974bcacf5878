"""Sandboxed commands, timed one by one on the real engine, and beside them bubblewrap without it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from gitward.sandboxes import Command, Limits
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.sandboxes.fake import FakeEndpoint

# What whoever calls bubblewrap by hand would write, for the same isolation of files, processes and network.
_BARE = (
    *("bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--ro-bind", "/usr", "/usr"),
    *("--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"),
    *("--ro-bind", "/etc", "/etc", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run"),  # noqa: S108
)


async def compared_commands(folder: Path, *, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds that each `true` took in a sandbox and under bare bubblewrap, in turn, from the call to its end."""
    folder.mkdir(mode=0o711)
    (folder / "bare").mkdir()
    engine = BubblewrapEngine(slots=1)
    endpoint = FakeEndpoint()
    sandboxed, bare = [], []
    await engine.start()
    try:
        sandbox = await engine.open(name="bench", workspace=folder / "w", endpoint=endpoint, limits=Limits())
        command = Command(argv=("true",), timeout_seconds=10)
        for _ in range(rounds + 5):
            began = time.monotonic()
            completed = await sandbox.run(command)
            sandboxed.append(time.monotonic() - began)
            bare.append(await _bare(folder / "bare"))
            if completed.exit_code != 0:
                raise RuntimeError(f"`true` ended with {completed.exit_code} in the sandbox")
        await sandbox.close()
        return sandboxed[5:], bare[5:]
    finally:
        await endpoint.close()
        await engine.stop()


async def _bare(work: Path) -> float:
    began = time.monotonic()
    binds = ("--bind", str(work), "/workspace", "--chdir", "/workspace")
    process = await asyncio.create_subprocess_exec(*_BARE, *binds, "true")
    code = await process.wait()
    seconds = time.monotonic() - began
    if code != 0:
        raise RuntimeError(f"`true` ended with {code} under bare bubblewrap")
    return seconds
