"""An agent's own folder, made anew in one command: its folders, the conversation that goes on, our configuration."""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import Iterator

from gitward.agents.archive import Archive
from gitward.agents.catalogue import AGENTS_DIR, AgentStart
from gitward.repositories.git import CommandResult
from gitward.runs.commands.runner import CommandRunner
from gitward.sandboxes import WORK_DIR

_COMPLAINT = 4096  # bytes
# What stands in a folder's place goes first, whatever it is: links are removed, and not followed.
_UNPACK = (
    "tar",
    "--extract",
    "--recursive-unlink",
    "--no-same-owner",
    "--touch",
    f"--directory={WORK_DIR}",
    "--file=-",
)


async def make(commands: CommandRunner, start: AgentStart, kept: Archive | None) -> CommandResult:
    """From inside, before anything of the turn is executed. Of earlier turns nothing stays but `kept`.

    :raises RunFailure: as `CommandRunner.capture`.
    """
    packed = await asyncio.to_thread(_packed, start, kept)
    return await commands.capture(_UNPACK, limit=_COMPLAINT, cwd="/", stdin=packed)


def _packed(start: AgentStart, kept: Archive | None) -> bytes:
    """Our configuration comes last: nothing that is kept takes its place."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path in (AGENTS_DIR, *start.folders):
            archive.addfile(_entry(path, folder=True))
        for path, content in _files(start, kept):
            archive.addfile(_entry(path, size=len(content)), io.BytesIO(content))
    return packed.getvalue()


def _files(start: AgentStart, kept: Archive | None) -> Iterator[tuple[str, bytes]]:
    if kept is not None:
        yield from ((f"{start.folder}/{each.path}", each.content) for each in kept.files)
    yield from ((path, text.encode()) for path, text in start.files.items())


def _entry(path: str, *, folder: bool = False, size: int = 0) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path.removeprefix(f"{WORK_DIR}/"))
    entry.type, entry.mode, entry.size = (tarfile.DIRTYPE, 0o700, 0) if folder else (tarfile.REGTYPE, 0o600, size)
    return entry
