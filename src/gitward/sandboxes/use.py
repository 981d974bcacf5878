"""What the processes of a sandbox use, as its supervisor sees it, and the watchdog that compares it with the limits.

A watchdog is what remains where the kernel cannot be asked to hold a limit: between two looks a command may
pass it.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from gitward.sandboxes import trees

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TMPFS = ("tmp", "dev/shm", "run")
_LOOK_SECONDS = 0.1
_SLICE_SECONDS = 0.005  # the longest that a walk keeps the supervisor from its other duties
_REST_SECONDS = 1.0  # between two walks, at least
_REST_RATIO = 10  # a walk takes at most a tenth of the time


def children(pid: int) -> list[int]:
    """The children of a process; none when it is gone."""
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with (
                contextlib.suppress(FileNotFoundError, ProcessLookupError),
                open(f"/proc/{pid}/task/{thread}/children", "rb") as file,
            ):
                found += [int(child) for child in file.read().split()]
    return found


def descendants(pid: int) -> list[int]:
    """Every process below one, parents first."""
    found = children(pid)
    for child in found:
        found += children(child)
    return found


def memory_use(init: int) -> int:
    """Bytes of private memory, tmpfs and memfds of the sandbox whose process 1 this is.

    Anonymous memory that processes share is not seen.
    """
    total = sum(_tmpfs_use(f"/proc/{init}/root/{place}") for place in _TMPFS)
    memfds: dict[tuple[int, int], int] = {}
    for pid in [init, *descendants(init)]:
        with _gone_is_fine():
            total += _private(pid)
            for identity, size, in_memory in _unlinked_files(pid):
                if in_memory:
                    memfds[identity] = size
    return total + sum(memfds.values())


def unlinked_disk_use(init: int) -> int:
    """Bytes of files on disk that have no name any more and are still open."""
    in_tmpfs = {0}
    for place in _TMPFS:
        with _gone_is_fine():
            in_tmpfs.add(os.stat(f"/proc/{init}/root/{place}").st_dev)
    files: dict[tuple[int, int], int] = {}
    for pid in descendants(init):
        with _gone_is_fine():
            for identity, size, in_memory in _unlinked_files(pid):
                if not in_memory and identity[0] not in in_tmpfs:
                    files[identity] = size
    return sum(files.values())


def _gone_is_fine() -> contextlib.suppress:
    """For reading about a process that may end meanwhile."""
    return contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError)


def _tmpfs_use(place: str) -> int:
    with contextlib.suppress(OSError):
        figures = os.statvfs(place)
        return (figures.f_blocks - figures.f_bfree) * figures.f_frsize
    return 0


def _private(pid: int) -> int:
    with open(f"/proc/{pid}/statm", "rb") as file:
        _, resident, shared, *_ = file.read().split()
    return (int(resident) - int(shared)) * _PAGE


def _unlinked_files(pid: int) -> Iterator[tuple[tuple[int, int], int, bool]]:
    """(identity, bytes, whether it is a memfd) of the nameless files that a process holds open."""
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            link = f"/proc/{pid}/fd/{number}"
            status = os.stat(link)
            if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
                in_memory = os.readlink(link).startswith("/memfd:")
                yield (status.st_dev, status.st_ino), status.st_blocks * 512, in_memory


class Watchdog:
    """Looks at a sandbox now and then. Only what has a limit is looked at."""

    def __init__(self, *, memory_bytes: int | None, disk_bytes: int | None, disk_paths: tuple[str, ...]) -> None:
        self._memory_bytes = memory_bytes
        self._disk_bytes = disk_bytes
        self._disk_paths = disk_paths
        self._init = 0
        self._walk: Iterator[int] | None = None
        self._walk_started = 0.0
        self._walk_again = 0.0
        self._disk_use = 0
        self.next_look: float | None = None  # by time.monotonic

    def start(self, init: int) -> None:
        """The command has started; `init` is the sandbox's process 1."""
        self._init = init
        if self._memory_bytes is not None or self._disk_bytes is not None:
            self.next_look = self._walk_again = time.monotonic() + _LOOK_SECONDS

    def look(self) -> str | None:
        """The name of the limit that is passed, if one is."""
        self.next_look = time.monotonic() + _LOOK_SECONDS
        if self._memory_bytes is not None and memory_use(self._init) > self._memory_bytes:
            return "memory"
        if self._disk_bytes is not None and self._disk_passed(self._disk_bytes):
            return "disk"
        return None

    def _disk_passed(self, limit: int) -> bool:
        """Goes on with the walk over the disk paths for a moment."""
        now = time.monotonic()
        if self._walk is None:
            if now < self._walk_again:
                return False
            self._walk, self._walk_started, self._disk_use = self._all_use(), now, 0
        try:
            for size in self._walk:
                self._disk_use += size
                if self._disk_use > limit:
                    return True
                if time.monotonic() - now > _SLICE_SECONDS:
                    return False
        except OSError:  # changed under the walk, or made unreadable: begin again
            pass
        self._walk = None
        now = time.monotonic()
        self._walk_again = now + max(_REST_SECONDS, (now - self._walk_started) * _REST_RATIO)
        return False

    def _all_use(self) -> Iterator[int]:
        for path in self._disk_paths:
            yield from trees.usage(Path(path))
        yield unlinked_disk_use(self._init)
