"""A folder that foreign code wrote, read outside of any sandbox: bounded, without following links."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MOST_NAMES = 200_000  # in one folder


class Damaged(OSError):
    """There is more in a `.git` than can be looked at."""


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A folder that foreign code wrote, by its open descriptor."""

    fd: int

    def has(self, path: str) -> bool:
        return self.status(path) is not None

    def status(self, path: str) -> os.stat_result | None:
        try:
            with self.parent(path) as (folder, name):
                return os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError:
            return None

    def read(self, path: str, limit: int, *, end: bool = False) -> bytes | None:
        """A file's content; None when there is none, or it is longer (unless its `end` is wanted)."""
        try:
            with self.parent(path) as (folder, name):
                file = os.open(name, _OPEN_FILE, dir_fd=folder)
        except OSError:
            return None
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode) or (status.st_size > limit and not end):
                return None
            return _whole(file, max(0, status.st_size - limit), min(limit, status.st_size))
        finally:
            os.close(file)

    def names(self, path: str) -> list[tuple[str, bool]]:
        """What is in a folder, each with whether it is a folder; nothing when there is none. Raises Damaged.

        In the order of their names: that of the file system differs from one machine to the next.
        """
        try:
            with self._folder(path) as folder, os.scandir(folder) as entries:
                found = [(each.name, each.is_dir(follow_symlinks=False)) for each in islice(entries, _MOST_NAMES + 1)]
        except OSError:
            return []
        if len(found) > _MOST_NAMES:
            raise Damaged(f"more than {_MOST_NAMES} files in {path or 'the folder'}")
        return sorted(found)

    def is_empty(self, path: str) -> bool:
        """Whether nothing is in a folder, or there is none."""
        try:
            with self._folder(path) as folder, os.scandir(folder) as entries:
                return next(entries, None) is None
        except OSError:
            return True

    def link(self, path: str) -> str | None:
        """What a symbolic link says."""
        try:
            with self.parent(path) as (folder, name):
                return os.readlink(name, dir_fd=folder)
        except OSError:
            return None

    @contextlib.contextmanager
    def below(self, path: str) -> Iterator[Tree]:
        """Raises OSError when there is no such folder."""
        with self._folder(path) as folder:
            yield Tree(fd=folder)

    @contextlib.contextmanager
    def _folder(self, path: str) -> Iterator[int]:
        here = os.dup(self.fd)
        try:
            for name in PurePosixPath(path).parts:
                below = os.open(name, _OPEN_FOLDER, dir_fd=here)
                os.close(here)
                here = below
            yield here
        finally:
            os.close(here)

    @contextlib.contextmanager
    def parent(self, path: str) -> Iterator[tuple[int, str]]:
        parent, _, name = path.rpartition("/")
        with self._folder(parent) as folder:
            yield folder, name


def _whole(file: int, offset: int, size: int) -> bytes:
    pieces = bytearray()
    while len(pieces) < size and (piece := os.pread(file, size - len(pieces), offset + len(pieces))):
        pieces += piece
    return bytes(pieces)


@contextlib.contextmanager
def opened(root: Path) -> Iterator[Tree]:
    """A folder whose own path nobody else can change. Raises OSError when there is none."""
    fd = os.open(root, _OPEN_FOLDER)
    try:
        yield Tree(fd=fd)
    finally:
        os.close(fd)
