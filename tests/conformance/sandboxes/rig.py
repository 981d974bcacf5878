"""What the suite needs around an engine: places, sandboxes with their output collected, and a look at processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gitward.grants.system_image import SystemImage
from gitward.sandboxes import Command, Completed, Limits, Sandbox, Stream
from gitward.sandboxes.engine import BubblewrapEngine
from gitward.sandboxes.fake import FakeEndpoint
from gitward.sandboxes.protocol import MIB
from gitward.sandboxes.walls import ALL_WALLS, Wall

SMALL = Limits(memory_bytes=256 * MIB, processes=40, disk_bytes=64 * MIB, file_bytes=32 * MIB, tmp_bytes=8 * MIB)


def python_inside() -> str:
    """The interpreter that attacks are written for; it has to stand under /usr."""
    for candidate in ("/usr/bin/python3", "/usr/local/bin/python3"):
        if os.path.exists(candidate):
            return candidate
    raise FileNotFoundError("the conformance suite needs a Python under /usr; on Debian: apt-get install python3")


@dataclass
class Outcome:
    """How a command ended, with what it wrote."""

    completed: Completed
    stdout: str
    stderr: str

    @property
    def said(self) -> str:
        return self.stdout.strip()


@dataclass
class Inside:
    """An open sandbox."""

    sandbox: Sandbox
    workspace: Path
    endpoint: FakeEndpoint
    heard: asyncio.Event = field(default_factory=asyncio.Event)  # set by the first output

    async def run(self, *argv: str, env: Mapping[str, str] | None = None, seconds: float = 20, **more: Any) -> Outcome:
        output: dict[Stream, bytearray] = {stream: bytearray() for stream in Stream}

        async def keep(stream: Stream, piece: bytes) -> None:
            output[stream] += piece
            self.heard.set()

        command = Command(argv=argv, env=env or {}, timeout_seconds=seconds, in_image=True, **more)
        completed = await self.sandbox.run(command, keep)
        return Outcome(completed, *(bytes(text).decode("utf-8", "replace") for text in output.values()))

    async def python(self, source: str, *arguments: str, **more: Any) -> Outcome:
        return await self.run(python_inside(), "-c", source, *arguments, **more)

    async def bash(self, script: str, **more: Any) -> Outcome:
        return await self.run("/bin/bash", "-c", script, **more)


class Rig:
    """Opens sandboxes of one kind of engine, below one folder."""

    def __init__(self, folder: Path, image: SystemImage | None = None) -> None:
        self.folder = folder
        self.image = image  # what commands see in place of the host's system

    @asynccontextmanager
    async def engine(self, *without: Wall, slots: int = 2, **more: Any) -> AsyncIterator[BubblewrapEngine]:
        engine = BubblewrapEngine(slots=slots, walls=ALL_WALLS - set(without), **more)
        await engine.start()
        try:
            yield engine
        finally:
            await engine.stop()

    @asynccontextmanager
    async def opened(
        self, engine: BubblewrapEngine, *, name: str = "run", limits: Limits = SMALL, **more: Any
    ) -> AsyncIterator[Inside]:
        endpoint = FakeEndpoint(**more)
        workspace = self.folder / name
        sandbox = await engine.open(name=name, workspace=workspace, endpoint=endpoint, limits=limits, image=self.image)
        try:
            yield Inside(sandbox, workspace, endpoint)
        finally:
            await sandbox.close()
            await endpoint.close()

    @asynccontextmanager
    async def sandbox(
        self, *without: Wall, limits: Limits = SMALL, endpoint: Mapping[str, Any] | None = None, **more: Any
    ) -> AsyncIterator[Inside]:
        """A sandbox of an engine of its own, without some of its walls."""
        async with (
            self.engine(*without, **more) as engine,
            self.opened(engine, limits=limits, **(endpoint or {})) as inside,
        ):
            yield inside


@contextlib.contextmanager
def reachable_folder() -> Iterator[Path]:
    """A folder that an unprivileged user can pass through, which pytest's are not for root's children."""
    folder = Path("/tmp") / f"gitward-conformance-{os.getpid()}-{os.urandom(4).hex()}"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def processes_with(token: str, where: str = "cmdline") -> dict[int, int]:
    """Processes of the machine with a token in their arguments, each with a pidfd; close them with `close_all`."""
    found: dict[int, int] = {}
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if token.encode() in Path(f"/proc/{name}/{where}").read_bytes():
                found[int(name)] = os.pidfd_open(int(name))
    return found


def are_gone(handles: Mapping[int, int], seconds: float = 5.0) -> bool:
    """Waits until every process has ended. Blocks; use it in a thread where the loop has to go on."""
    return all(select.select([handle], [], [], seconds)[0] for handle in handles.values())


def close_all(handles: Mapping[int, int]) -> None:
    for handle in handles.values():
        os.close(handle)


def parent_of(pid: int) -> int:
    stat = Path(f"/proc/{pid}/stat").read_text()
    return int(stat[stat.rindex(")") + 2 :].split()[1])
