"""Sandboxed commands, timed one by one on the real engine, and beside them bubblewrap without it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

from gitward.sandboxes import Command, Limits, Sandbox
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.sandboxes.fake import FakeEndpoint

# What whoever calls bubblewrap by hand would write, for the same isolation of files, processes and network.
_BARE = (
    *("bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--ro-bind", "/usr", "/usr"),
    *("--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"),
    *("--ro-bind", "/etc", "/etc", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run"),  # noqa: S108  # the sandbox's own /tmp
)


QUIET_SECONDS = 0.05  # until the next sandbox is ready, so that its making slows down nothing that is measured
IN_A_ROW = 10


@dataclass(kw_only=True)
class Seconds:
    """Of each `true`, from the call to its end."""

    ready: list[float] = field(default_factory=list)  # its sandbox was ready
    at_once: list[float] = field(default_factory=list)  # it followed another one at once
    in_series: list[float] = field(default_factory=list)  # the same, as Gitward's own programs do: in one sandbox
    bare: list[float] = field(default_factory=list)  # under bare bubblewrap


async def compared_commands(folder: Path, *, rounds: int) -> Seconds:
    """The four in turn."""
    folder.mkdir(mode=0o711)
    (folder / "bare").mkdir()
    engine = BubblewrapEngine(slots=1)
    endpoint = FakeEndpoint()
    found = Seconds()
    await engine.start()
    try:
        sandbox = await engine.open(name="bench", workspace=folder / "w", endpoint=endpoint, limits=Limits())
        for number in range(rounds + 5):
            await asyncio.sleep(QUIET_SECONDS)
            first = await _sandboxed(sandbox)
            following = [await _sandboxed(sandbox) for _ in range(IN_A_ROW if number % 10 == 9 else 0)]
            series = [await _sandboxed(sandbox, in_series=True) for _ in range(IN_A_ROW if number % 10 == 9 else 0)]
            await asyncio.sleep(QUIET_SECONDS)
            by_hand = await _bare(folder / "bare")
            if number >= 5:
                found.ready.append(first)
                found.at_once += following
                found.in_series += series[1:]
                found.bare.append(by_hand)
        await sandbox.close()
        return found
    finally:
        await endpoint.close()
        await engine.stop()


async def _sandboxed(sandbox: Sandbox, *, in_series: bool = False) -> float:
    began = time.monotonic()
    completed = await sandbox.run(Command(argv=("true",), timeout_seconds=10, in_series=in_series))
    if completed.exit_code != 0:
        raise RuntimeError(f"`true` ended with {completed.exit_code} in the sandbox")
    return time.monotonic() - began


async def _bare(work: Path) -> float:
    began = time.monotonic()
    binds = ("--bind", str(work), "/workspace", "--chdir", "/workspace")
    process = await asyncio.create_subprocess_exec(*_BARE, *binds, "true")
    code = await process.wait()
    seconds = time.monotonic() - began
    if code != 0:
        raise RuntimeError(f"`true` ended with {code} under bare bubblewrap")
    return seconds
