"""Inspects pushed packs with git, in a sandbox of its own, without credential and without network."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import stat
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

from gitward.grants.endpoint import Nowhere
from gitward.grants.inspection import BadPack, Findings, InspectionFailed
from gitward.repositories.pack_inspection import commit_messages, objects
from gitward.repositories.pack_inspection.commit_messages import CommitIds
from gitward.sandboxes import WORK_DIR, Command, Limits, Sandbox, SandboxEngine, SandboxError, Stream, foreign_folders
from gitward.sandboxes.descriptor_waits import uninterrupted

log = logging.getLogger(__name__)

LOOK_SECONDS = 240.0  # for all of one look: git unpacks some 200 MB a second
_MAX_OUTPUT = 8 * 1024 * 1024  # bytes of the four objects that are read
_TAIL = 4096  # bytes of what git complains about
_PACK = "objects/pack/pack-push.pack"
_FAILED = "the worker could not inspect the push; try again, the service's log says why"

# A file that is larger than this is hashed as it is unpacked, and not held in memory.
_GIT = ("git", "-c", "core.bigFileThreshold=1m", "-c", "gc.auto=0")
_CONFIG = {
    40: "[core]\n\trepositoryformatversion = 0\n\tbare = true\n",
    64: "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectformat = sha256\n",
}  # by the length of an object id


class PackInspector:
    """Opens one sandbox for each look. `folder` must be one that the sandbox's own user can pass through."""

    def __init__(self, sandboxes: SandboxEngine, folder: Path, limits: Limits) -> None:
        self._sandboxes = sandboxes
        self._folder = folder
        self._limits = limits

    def open_file(self) -> int:
        try:
            return os.open(self._folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError:  # a file system without such files, which cannot be given a name later
            descriptor, name = tempfile.mkstemp(dir=self._folder)
            os.unlink(name)
            return descriptor

    async def inspect(self, pack: int, tip: str, *, messages: bool = False) -> Findings:
        workspace = self._folder / f"push-{secrets.token_hex(8)}"
        try:
            await uninterrupted(asyncio.to_thread(_prepare, workspace, pack, tip))
            async with asyncio.timeout(LOOK_SECONDS), self._opened(workspace) as sandbox:
                findings = await _inspect(sandbox, tip)
                return replace(findings, closes=await _closings(sandbox)) if messages else findings
        except TimeoutError:
            raise BadPack("git takes too long to unpack this push; push in several steps") from None
        except (SandboxError, OSError) as error:
            log.warning("A push could not be inspected: %s", error)
            raise InspectionFailed(_FAILED) from error
        finally:
            await uninterrupted(asyncio.to_thread(_remove, workspace))

    async def wipe(self) -> None:
        """At the start of a worker: what a killed one left behind."""
        for workspace in await asyncio.to_thread(lambda: sorted(self._folder.iterdir())):
            await asyncio.to_thread(_remove, workspace)

    @contextlib.asynccontextmanager
    async def _opened(self, workspace: Path) -> AsyncIterator[Sandbox]:
        sandbox = await self._sandboxes.open(
            name=workspace.name, workspace=workspace, endpoint=Nowhere(), limits=self._limits
        )
        try:
            yield sandbox
        finally:
            await sandbox.close()


def _prepare(workspace: Path, pack: int, tip: str) -> None:
    """Makes a workspace with a bare repository in it that has nothing but the pack."""
    work = workspace / "work"
    workspace.mkdir(mode=0o700)
    for name in ("objects/pack", "refs"):
        (work / name).mkdir(parents=True)
    (work / "HEAD").write_text("ref: refs/heads/none\n")
    (work / "config").write_text(_CONFIG[len(tip)])
    name_file(pack, work / _PACK)


def name_file(descriptor: int, path: Path) -> None:
    """Gives a nameless file a name; on a file system that cannot, its content is copied."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError("the pack is not a file")
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Only with a `dir_fd` Python asks the kernel to follow the link.
        os.link(f"/proc/self/fd/{descriptor}", path.name, dst_dir_fd=folder, follow_symlinks=True)
    except OSError:
        _copy(descriptor, path)
    finally:
        os.close(folder)


def _copy(descriptor: int, path: Path) -> None:
    offset, size = 0, os.fstat(descriptor).st_size
    with path.open("xb") as copy:
        while offset < size:
            offset += os.sendfile(copy.fileno(), descriptor, offset, size - offset)


def _remove(workspace: Path) -> None:
    with contextlib.suppress(FileNotFoundError):  # it was not even made
        foreign_folders.clear(workspace)
        workspace.rmdir()


async def _inspect(sandbox: Sandbox, tip: str) -> Findings:
    """Raises BadPack and SandboxError."""
    status, _, complaint = await _git(sandbox, "index-pack", _PACK)
    if status != 0:
        if b"unresolved delta" in complaint:
            raise BadPack("a push must contain whole objects; repeat it with `git push --no-thin`")
        raise BadPack("git cannot read this pack")
    asked = "".join(f"{question}\n" for question in objects.questions(tip))
    status, output, _ = await _git(sandbox, "cat-file", "--batch", stdin=asked.encode())
    if status != 0:
        raise BadPack("git cannot read this pack")
    return await asyncio.to_thread(objects.findings, tip, output)


async def _closings(sandbox: Sandbox) -> dict[str, str]:
    """What the messages of the pack's commits close. Raises BadPack and SandboxError."""
    ids = CommitIds()
    status, _, _ = await _git(sandbox, *commit_messages.LISTING, take=ids.feed)
    found: dict[str, str] = {}
    for start in range(0, len(ids.found), commit_messages.AT_ONCE):
        asked = ids.found[start : start + commit_messages.AT_ONCE]
        stdin = "".join(f"{oid}\n" for oid in asked).encode()
        status, output, _ = await _git(sandbox, "cat-file", "--batch", stdin=stdin)
        if status != 0:
            break
        found |= await asyncio.to_thread(commit_messages.closings, asked, output)
    if status != 0:
        raise BadPack("git cannot read this pack")
    return found


async def _git(
    sandbox: Sandbox, *arguments: str, stdin: bytes = b"", take: Callable[[bytes], None] | None = None
) -> tuple[int, bytes, bytes]:
    """Exit status, output and the end of the complaints of git in the bare repository. Raises BadPack.

    :param take: gets the output piece by piece; it is not kept then.
    """
    output, complaint = bytearray(), bytearray()

    async def sink(stream: Stream, piece: bytes) -> None:
        if stream is Stream.STDERR:
            complaint.extend(piece)
            del complaint[:-_TAIL]
            return
        if take is not None:
            take(piece)
            return
        output.extend(piece)
        if len(output) > _MAX_OUTPUT:
            raise BadPack("the top folders or the messages of the pushed commits are too large to inspect")

    env = {"GIT_DIR": WORK_DIR, "GIT_CONFIG_NOSYSTEM": "1", "GIT_NO_REPLACE_OBJECTS": "1"}
    argv = (*_GIT, *arguments)
    command = Command(argv=argv, env=env, stdin=stdin, timeout_seconds=LOOK_SECONDS, last=True, in_series=True)
    completed = await sandbox.run(command, sink)
    if completed.timed_out or completed.limit is not None:
        raise BadPack(f"git reaches the limit of {completed.limit or 'time'} when it unpacks this push")
    return completed.exit_code, bytes(output), bytes(complaint)
