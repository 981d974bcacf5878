"""Fetches repositories: git in a sandbox of its own, in a folder that is removed afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import stat
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ParamSpec, TypeVar

from gitward.grants.endpoint import Endpoint, Nowhere
from gitward.repositories import OBJECTS_DIR
from gitward.repositories.mirrors.fetch_faults import is_cut, is_disks, is_theirs
from gitward.repositories.mirrors.git import CONFIG, GitResult, config, git
from gitward.repositories.mirrors.source import FetchFailed, MirrorDamaged, MirrorUnusable, Source
from gitward.repositories.refs import MAX_BYTES, BadRefs, Refs, parse
from gitward.repositories.snapshot import BadPacks, open_below, prepare
from gitward.sandboxes import WORK_DIR, Limits, Sandbox, SandboxEngine, Shown, foreign_folders, workspace_removal
from gitward.sandboxes.descriptor_waits import uninterrupted
from gitward.sandboxes.workspace_lock import StillAlive

P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger(__name__)

FETCH_SECONDS = 3600.0
_REPOSITORY = "repo"
_INSIDE = f"{WORK_DIR}/{_REPOSITORY}"
_FORMATS = {
    40: b"[core]\n\trepositoryformatversion = 0\n\tbare = true\n",
    64: b"[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectformat = sha256\n",
}
_HEADS_AND_TAGS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What a sandbox has fetched; good inside the block that it was fetched in."""

    refs: Refs
    packs: int  # an open folder: new packs, which foreign code has written


@dataclass(frozen=True, kw_only=True)
class Base:
    """What a mirror has."""

    packed_refs: bytes
    oid_length: int


Show = Callable[[Path], Base]  # links a mirror's packs into a folder


class Fetcher:
    """Opens one sandbox for each fetch, below a folder that the sandbox's own user can pass through."""

    def __init__(self, sandboxes: SandboxEngine, folder: Path, limits: Limits) -> None:
        self._sandboxes = sandboxes
        self._folder = folder
        self._limits = limits  # of a run's own sandbox

    @contextlib.asynccontextmanager
    async def cloned(
        self, source: Source, *, disk_bytes: int | None = None, begins: Callable[[], None] | None = None
    ) -> AsyncIterator[Fetched]:
        """The whole repository: all heads and tags.

        :raises FetchFailed: GitHub, the network, the token, or a limit.
        """
        async with self._workspace(source.key) as workspace:
            async with source.open_grant() as grant:
                await in_thread(_write_config, workspace, config(source.server_url, grant.credential))
                async with self._opened(workspace, grant, disk_bytes=disk_bytes) as sandbox:
                    if begins is not None:
                        begins()
                    argv = ("clone", "--quiet", "--bare", "--no-local", "--", source.url, _REPOSITORY)
                    _require(await git(sandbox, *argv, seconds=FETCH_SECONDS))
            async with _collected(workspace) as (packs, raw):
                try:
                    refs = await asyncio.to_thread(parse, raw)
                except BadRefs as error:
                    raise FetchFailed(f"the refs of {source.full_name} cannot be used: {error}") from error
                yield Fetched(refs=refs, packs=packs)

    @contextlib.asynccontextmanager
    async def refreshed(
        self, source: Source, show: Show, *, disk_bytes: int, begins: Callable[[], None]
    ) -> AsyncIterator[Fetched | None]:
        """What a mirror lacks; None: nothing.

        :raises FetchFailed: GitHub, the network, the token, or a limit.
        :raises MirrorUnusable: the mirror.
        """
        async with self._workspace(source.key) as workspace:
            shown = workspace / "objects"
            before = await in_thread(_prepare, workspace, shown, show)
            async with source.open_grant() as grant:
                await in_thread(_write_config, workspace, config(source.server_url, grant.credential))
                inside = Shown(host=shown, inside=OBJECTS_DIR)
                async with self._opened(workspace, grant, inside, disk_bytes=disk_bytes) as sandbox:
                    begins()
                    await _fetch(sandbox, source, workspace)
            async with _collected(workspace) as (packs, raw):
                if raw == before.packed_refs:
                    yield None
                    return
                try:
                    refs = await asyncio.to_thread(parse, raw)
                except BadRefs as error:
                    raise MirrorDamaged(str(error)) from error
                yield Fetched(refs=refs, packs=packs)

    @contextlib.asynccontextmanager
    async def merged(self, key: str, show: Show, names: list[str]) -> AsyncIterator[int]:
        """An open folder with one pack of all that the named packs have."""
        async with self._workspace(key) as workspace:
            shown = workspace / "objects"
            await in_thread(_prepare, workspace, shown, show)
            await in_thread(_write_config, workspace, config())
            inside = Shown(host=shown, inside=OBJECTS_DIR)
            async with self._opened(workspace, Nowhere(), inside) as sandbox:
                asked = "".join(f"{name}\n" for name in names).encode()
                argv = ("pack-objects", "--quiet", "--stdin-packs", "objects/pack/pack")
                ended = await git(sandbox, *argv, cwd=_INSIDE, stdin=asked, seconds=FETCH_SECONDS, limit=100)
                if ended.exit_code != 0:
                    raise MirrorUnusable(f"its packs could not be merged: {ended.tail or ended.limit}")
            async with _collected(workspace) as (packs, _):
                yield packs

    async def wipe(self) -> None:
        """At the start of a worker: what a killed one left behind, with the processes that are still in it."""
        for workspace in await asyncio.to_thread(lambda: sorted(self._folder.iterdir())):
            try:
                await asyncio.to_thread(workspace_removal.remove, workspace)
            except (OSError, StillAlive) as error:
                log.warning("%s cannot be removed yet (%s)", workspace, error)

    @contextlib.asynccontextmanager
    async def _workspace(self, key: str) -> AsyncIterator[Path]:
        workspace = self._folder / f"{key}-{secrets.token_hex(8)}"
        try:
            await in_thread(_make, workspace)
            yield workspace
        finally:
            await in_thread(_remove, workspace)

    @contextlib.asynccontextmanager
    async def _opened(
        self, workspace: Path, endpoint: Endpoint, *shown: Shown, disk_bytes: int | None = None
    ) -> AsyncIterator[Sandbox]:
        limits = self._limits
        if disk_bytes is not None:
            limits = replace(limits, disk_bytes=disk_bytes, file_bytes=disk_bytes)
        sandbox = await self._sandboxes.open(
            name=workspace.name, workspace=workspace, endpoint=endpoint, limits=limits, shown=shown
        )
        try:
            yield sandbox
        finally:
            await sandbox.close()


async def _fetch(sandbox: Sandbox, source: Source, workspace: Path) -> None:
    argv = ("fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--")
    ended = await git(sandbox, *argv, source.url, *_HEADS_AND_TAGS, cwd=_INSIDE, seconds=FETCH_SECONDS)
    if ended.exit_code != 0 and ended.limit is None and not is_theirs(ended.tail) and not is_cut(ended.tail):
        kind = MirrorUnusable if is_disks(ended.tail) else MirrorDamaged
        raise kind(f"git could not bring it up to date: {ended.tail}")
    _require(ended)
    if await asyncio.to_thread(_has_files, workspace / "work" / _REPOSITORY / "refs"):
        packed = await git(sandbox, "pack-refs", "--all", cwd=_INSIDE, seconds=FETCH_SECONDS)
        if packed.exit_code != 0:
            raise MirrorUnusable(f"git could not write its refs: {packed.tail or packed.limit}")


def _require(ended: GitResult) -> None:
    if ended.exit_code != 0:
        raise FetchFailed(ended.tail, limit=ended.limit or ("disk" if is_cut(ended.tail) else None))


def _has_files(folder: Path) -> bool:
    return any(not stat.S_ISDIR(entry.status.st_mode) for entry in foreign_folders.walk(folder, moving=True))


async def in_thread(call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """A piece of work on files, which is done even when the caller is cancelled."""
    return await uninterrupted(asyncio.to_thread(call, *arguments, **named))


def _make(workspace: Path) -> None:
    workspace.mkdir(mode=0o711)
    (workspace / "work").mkdir(mode=0o700)


def _write_config(workspace: Path, data: bytes) -> None:
    (workspace / "work" / Path(CONFIG).name).write_bytes(data)


def _prepare(workspace: Path, shown: Path, show: Show) -> Base:
    """A bare repository that has the mirror's refs, and borrows its objects."""
    shown.mkdir(mode=0o700)
    base = show(shown)
    repository = workspace / "work" / _REPOSITORY
    (repository / "refs").mkdir(parents=True)
    store = repository / "objects"
    store.mkdir()
    prepare(store)
    (store / "info" / "alternates").write_text(f"{OBJECTS_DIR}\n")
    (repository / "HEAD").write_text("ref: refs/heads/none\n")
    (repository / "config").write_bytes(_FORMATS[base.oid_length])
    (repository / "packed-refs").write_bytes(base.packed_refs)
    return base


@contextlib.asynccontextmanager
async def _collected(workspace: Path) -> AsyncIterator[tuple[int, bytes]]:
    """The open folder of packs, and the raw refs, of the repository that a sandbox has left."""
    packs, raw = await in_thread(_collect, workspace)
    try:
        yield packs, raw
    finally:
        os.close(packs)


def _collect(workspace: Path) -> tuple[int, bytes]:
    repository = open_below(workspace, "work", _REPOSITORY)
    try:
        raw = _read_refs(repository)
    finally:
        os.close(repository)
    return open_below(workspace, "work", _REPOSITORY, "objects", "pack"), raw


def _read_refs(repository: int) -> bytes:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open("packed-refs", flags, dir_fd=repository)
    except FileNotFoundError:  # a repository without any
        return b""
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise BadPacks("the list of refs is not a file")
        return file.read(MAX_BYTES + 1)


def _remove(workspace: Path) -> None:
    with contextlib.suppress(FileNotFoundError):  # it was not even made
        foreign_folders.clear(workspace)
        workspace.rmdir()
