"""The LFS objects of one mirror: fetched earlier from its repository, and lent to runs that may read it.

They lie in the mirror's folder, as `lfs/<oid>`, and go with it. So they belong to one repository: a pointer to an
object of another one brings nothing. Everything here blocks.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from gitward.repositories.lfs import objects
from gitward.repositories.lfs.pointers import Pointer
from gitward.repositories.mirrors.folder import MirrorFolder

_FOLDER = "lfs"


def size_of(mirror: Path) -> int:
    """Bytes of the objects in a mirror's folder."""
    return sum(size for _, size, _ in _all(mirror / _FOLDER))


def _all(folder: Path) -> list[tuple[float, int, str]]:
    """When each object was last used, its size, its path."""
    found = []
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                found.append((status.st_mtime, status.st_size, entry.path))
    return found


def lend(mirror: MirrorFolder, wanted: Iterable[Pointer], storage: Path) -> set[Pointer]:
    """Links what is there into a storage of ours; each was hashed when it came. Raises MirrorUnusable."""
    found: set[Pointer] = set()
    folder = mirror.path / _FOLDER
    if not folder.is_dir():
        return found
    with mirror.locked():
        for pointer in wanted:
            place = folder / pointer.oid
            with contextlib.suppress(FileNotFoundError):
                status = place.stat(follow_symlinks=False)
                if not stat.S_ISREG(status.st_mode) or status.st_size != pointer.size:
                    continue  # the pointer lies about the size, or a disk lost something
                os.utime(place)
                objects.link(place, objects.place_of(storage, pointer))
                found.add(pointer)
    return found


def store(mirror: MirrorFolder, found: Iterable[Pointer], storage: Path, *, limit: int) -> None:
    """Takes objects that were hashed, out of a storage of ours; the least recently used beyond the limit go.

    Nothing is kept where there is no mirror. Raises MirrorUnusable.
    """
    if not mirror.path.is_dir():
        return
    with mirror.locked():
        folder = mirror.path / _FOLDER
        with contextlib.suppress(FileNotFoundError):  # the mirror is gone since
            folder.mkdir(mode=0o700, exist_ok=True)
            for pointer in found:
                objects.link(storage / pointer.path, folder / pointer.oid)
            _trim(folder, limit)


def _trim(folder: Path, limit: int) -> None:
    there = sorted(_all(folder))
    total = sum(size for _, size, _ in there)
    for _, size, path in there:
        if total <= limit:
            return
        os.unlink(path)
        total -= size
