"""Walks folders that foreign code has written, at any depth and without following links.

One descriptor is open at a time: a walk goes down by `openat(O_NOFOLLOW)` and up by `..`, and checks that it is back
where it came from.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BYTES_PER_ENTRY = 1024  # what an entry costs beside its blocks: its inode and its name


class TreeChanged(OSError):
    """Somebody moved a folder while it was walked."""


@dataclass(frozen=True)
class Entry:
    """One thing in a folder. `folder` is an open descriptor, good until the walk goes on."""

    folder: int
    name: str
    status: os.stat_result  # of the thing itself, not of what a link points to


@dataclass
class _Level:
    """A folder on the way from the root to where the walk is."""

    identity: tuple[int, int]  # device and inode
    entry: tuple[str, os.stat_result] | None  # how its own parent knows it; None for the root
    pending: list[tuple[str, os.stat_result]] = field(default_factory=list)  # folders inside, not yet visited


def walk(root: Path, *, unlock: bool = False, moving: bool = False) -> Iterator[Entry]:
    """Every entry below `root`, a folder after its content. The consumer may change or remove what it is given.

    `unlock` gives the owner of a folder back what it takes to empty it (Go's module cache takes it away); only
    for a tree that nobody else is changing. `moving` is for a tree that somebody is changing: what vanishes is
    left out, instead of ending the walk by TreeChanged.
    """
    here = os.open(root, _OPEN_FOLDER)
    try:
        levels = [_Level(_identity(here), None)]
        yield from _files(here, levels[-1])
        while levels:
            level = levels[-1]
            if level.pending:
                name, status = level.pending.pop()
                if unlock and status.st_mode & 0o700 != 0o700:
                    os.chmod(name, 0o700, dir_fd=here)
                try:
                    here = _descend(here, levels, name, status)
                except (FileNotFoundError, NotADirectoryError) as error:
                    if not moving:
                        raise TreeChanged(f"{name} was moved or replaced") from error
                else:
                    yield from _files(here, levels[-1])
                continue
            levels.pop()
            if level.entry is not None:
                here = _ascend(here, root, levels, moving=moving)
                yield Entry(here, *level.entry)
    finally:
        os.close(here)


def _identity(folder: int) -> tuple[int, int]:
    status = os.fstat(folder)
    return status.st_dev, status.st_ino


def _files(folder: int, level: _Level) -> Iterator[Entry]:
    """The entries of a folder that are no folders; those go to `level.pending`."""
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                status = os.stat(entry.name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISDIR(status.st_mode):
                level.pending.append((entry.name, status))
            else:
                yield Entry(folder, entry.name, status)


def _descend(here: int, levels: list[_Level], name: str, status: os.stat_result) -> int:
    child = os.open(name, _OPEN_FOLDER, dir_fd=here)
    levels.append(_Level(_identity(child), (name, status)))
    os.close(here)
    return child


def _ascend(here: int, root: Path, levels: list[_Level], *, moving: bool) -> int:
    """The folder of the last level, from one of its children."""
    parent = os.open("..", _OPEN_FOLDER, dir_fd=here)
    if _identity(parent) != levels[-1].identity:
        os.close(parent)
        if not moving:
            raise TreeChanged("a folder was moved while it was walked")
        parent = _way_back(root, levels)
    os.close(here)
    return parent


def _way_back(root: Path, levels: list[_Level]) -> int:
    """The last level's folder, by names from the root; levels that are gone are dropped."""
    here = os.open(root, _OPEN_FOLDER)
    for depth, level in enumerate(levels[1:], start=1):
        assert level.entry is not None
        try:
            child = os.open(level.entry[0], _OPEN_FOLDER, dir_fd=here)
        except (FileNotFoundError, NotADirectoryError):
            del levels[depth:]
            break
        os.close(here)
        here = child
    return here


def hand_over(root: Path, uid: int, gid: int) -> None:
    """Gives a tree to another user. The root comes last: while it has the old owner, the work is not done."""
    for entry in walk(root):
        if (entry.status.st_uid, entry.status.st_gid) != (uid, gid):
            os.chown(entry.name, uid, gid, dir_fd=entry.folder, follow_symlinks=False)
    os.chown(root, uid, gid, follow_symlinks=False)


def clear(root: Path) -> None:
    """Removes everything in a folder, and keeps the folder (0700)."""
    os.chmod(root, 0o700)
    for entry in walk(root, unlock=True):
        if stat.S_ISDIR(entry.status.st_mode):
            os.rmdir(entry.name, dir_fd=entry.folder)
        else:
            os.unlink(entry.name, dir_fd=entry.folder)


def usage(root: Path) -> Iterator[int]:
    """The bytes that each entry below `root` takes on disk; hard links to one file count once. The tree may move."""
    linked: set[tuple[int, int]] = set()
    for entry in walk(root, moving=True):
        status = entry.status
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            identity = (status.st_dev, status.st_ino)
            if identity in linked:
                yield _BYTES_PER_ENTRY
                continue
            linked.add(identity)
        yield status.st_blocks * 512 + _BYTES_PER_ENTRY
