"""One mirror on disk. Everything here blocks: call it in a thread.

    <key>.lock            taken while the mirror changes or is linked; removed with it
    <key>/meta.json       what is known of it, and which packs it has, with their sizes
    <key>/packed-refs     heads and tags
    <key>/objects/pack/   packs and indexes, 0444, of the worker's user

A change writes packs first, then `meta.json`, then `packed-refs`, each by a rename. So a killed process leaves unknown
packs at worst, which the next change removes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from gitward.repositories import snapshot
from gitward.repositories.mirrors.metadata import META, BadMetadata, Metadata
from gitward.repositories.mirrors.source import MirrorChanged, MirrorDamaged, MirrorUnusable
from gitward.repositories.refs import MAX_BYTES, Refs
from gitward.repositories.snapshot import BadPacks

PACKED_REFS = "packed-refs"
LOCK = ".lock"
NEW, REMOVED = "+new.", "removed+"  # in names of what is not finished; no key has a "+"
_LOCK_SECONDS = 30.0
_LOOK_SECONDS = 0.01
_PACKS = Path("objects/pack")


class MirrorFolder:
    """The mirror of this key, which need not exist."""

    def __init__(self, root: Path, key: str) -> None:
        self.key = key
        self.path = root / key
        self._root = root
        self._lock = root / f"{key}{LOCK}"

    def read(self) -> Metadata | None:
        """What is known of it; None: there is no mirror.

        :raises MirrorDamaged: nobody can tell.
        """
        try:
            return Metadata.parse((self.path / META).read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            if self.path.exists():
                raise MirrorDamaged("its description is missing") from None
            return None
        except BadMetadata as error:
            raise MirrorDamaged(str(error)) from None

    def create(self, meta: Metadata, packs: int, refs: Refs, *, instead_of: str | None = None) -> Metadata:
        """Takes packs out of a folder (descriptor) that a sandbox has written; returns what is known with their sizes.

        `instead_of`: the generation that it takes the place of.
        """
        new = self._root / f"{self.key}{NEW}{secrets.token_hex(8)}"
        (new / _PACKS).mkdir(parents=True)
        try:
            meta = replace(meta, files=snapshot.take_over(packs, new / _PACKS))
            _sync(new / _PACKS)
            _write(new, META, meta.encode())
            _write(new, PACKED_REFS, refs.raw)
            with self.locked():
                there = self._read_if_sound()
                if instead_of is not None and (there is None or there.generation != instead_of):
                    raise MirrorChanged("it was removed in the meantime")
                self._set_aside()
                os.rename(new, self.path)
                _sync(self._root)
        except BaseException:
            remove(new)
            raise
        self._remove_aside()
        return meta

    def _read_if_sound(self) -> Metadata | None:
        with contextlib.suppress(MirrorDamaged):
            return self.read()
        return None

    def extend(self, generation: str, packs: int, refs: Refs) -> Metadata:
        """Adds packs that a sandbox has written, and changes the refs.

        :raises MirrorChanged: it is not this generation any more.
        """
        with self.locked():
            meta = self._require(generation)
            files = dict(meta.files) | snapshot.take_over(packs, self.path / _PACKS)
            meta = replace(meta, files=files, refreshed_at=time.time())
            _sync(self.path / _PACKS)
            _write(self.path, META, meta.encode())
            _write(self.path, PACKED_REFS, refs.raw)
            self._remove_unknown(meta)
            return meta

    def exchange(self, generation: str, old: Sequence[str], packs: int) -> Metadata:
        """Puts packs that a sandbox has written in the place of old ones, whose objects they have."""
        with self.locked():
            meta = self._require(generation)
            if not set(old) <= set(meta.files):
                raise MirrorChanged("its packs were merged in the meantime")
            kept = {name: size for name, size in meta.files.items() if name not in old}
            files = kept | snapshot.take_over(packs, self.path / _PACKS)
            meta = replace(meta, files=files)
            _sync(self.path / _PACKS)
            _write(self.path, META, meta.encode())
            self._remove_unknown(meta)
            return meta

    def link(self, into: Path, *, generation: str, name: str | None = None) -> tuple[Metadata, bytes]:
        """Links the packs into a folder of ours, after a look whether they are whole. Returns its refs, as they are.

        `name`: of the repository, as a run knows it that uses the mirror from now on.

        :raises MirrorChanged: it is another generation than the caller knows.
        :raises MirrorDamaged: packs are not what they were.
        """
        with self.locked():
            meta = self._require(generation)
            try:
                snapshot.check(self.path / _PACKS, meta.files)
                snapshot.link(self.path / _PACKS, meta.files, snapshot.prepare(into))
                refs = _read_bounded(self.path / PACKED_REFS)
            except (BadPacks, FileNotFoundError) as error:
                raise MirrorDamaged(str(error)) from error
            if name is not None:
                self._note_use(meta, name)
            return meta, refs

    def _note_use(self, meta: Metadata, name: str) -> None:
        names = meta.names if name in meta.names else (*meta.names, name)[-8:]
        _write(self.path, META, replace(meta, names=names, used_at=time.time()).encode(), sync=False)

    def drop(self, *, generation: str | None = None) -> int:
        """Removes the mirror; what was linked elsewhere stays there. Returns the bytes that it had.

        `generation`: the one that is meant; another one, which somebody has made since, stays.
        """
        with self.locked():
            meta = self._read_if_sound()
            if meta is not None and generation not in {None, meta.generation}:
                return 0
            self._set_aside()
            self._lock.unlink()
        self._remove_aside()
        return 0 if meta is None else meta.size

    def _require(self, generation: str) -> Metadata:
        meta = self.read()
        if meta is None or generation != meta.generation:
            raise MirrorChanged("it was removed in the meantime")
        return meta

    def _set_aside(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.path, self._root / f"{REMOVED}{self.key}+{secrets.token_hex(8)}")

    def _remove_aside(self) -> None:
        for path in self._root.glob(f"{REMOVED}{self.key}+*"):
            remove(path)

    def _remove_unknown(self, meta: Metadata) -> None:
        for path in (self.path / _PACKS).iterdir():
            if path.name not in meta.files:
                path.unlink()

    @contextlib.contextmanager
    def locked(self, seconds: float = _LOCK_SECONDS) -> Iterator[None]:
        """Nobody else, of whatever process, changes or links the mirror in this block.

        :raises MirrorUnusable: somebody has the lock for too long.
        """
        deadline = time.monotonic() + seconds
        while True:
            lock = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                _flock(lock, deadline)
                if _is_at(lock, self._lock):  # else it was removed while we waited, and somebody may have a new one
                    yield
                    return
            finally:
                os.close(lock)


def _flock(lock: int, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise MirrorUnusable("another process has it locked") from None
            time.sleep(_LOOK_SECONDS)
        else:
            return


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        there, here = path.stat(follow_symlinks=False), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def _read_bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _write(folder: Path, name: str, data: bytes, *, sync: bool = True) -> None:
    temporary = folder / f"{name}.new"
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        if sync:
            os.fsync(file.fileno())
    os.rename(temporary, folder / name)
    if sync:
        _sync(folder)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Removes a folder of ours, which another process may be removing too."""
    for folder, _, names in os.walk(path, topdown=False):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, name))
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(folder)
