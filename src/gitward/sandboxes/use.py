"""What the processes of a sandbox use, as its supervisor sees it, and the watchdog that compares it with the limits.

A watchdog is what remains where the kernel cannot be asked to hold a limit: between two looks a command may
pass it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from gitward.sandboxes import trees

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TMPFS = ("tmp", "dev/shm", "run")
_LOOK_SECONDS = 0.1
_UNNAMED_SECONDS = 0.5  # between two looks at files without a name, which cost more
_MOST_OPEN_FILES = 20_000  # looked at, so that a sandbox cannot keep its supervisor busy
_SLICE_SECONDS = 0.02  # the longest that a walk keeps the supervisor from its other duties
_REST_SECONDS = 1.0  # between two walks, at least
_REST_RATIO = 10  # a walk takes at most a tenth of the time
_HURRY = 16  # but begins at once when the file system has lost this part of the limit since the last


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
    """Bytes of private memory and tmpfs of the sandbox whose process 1 this is. Shared memory is not seen."""
    total = sum(_tmpfs_use(f"/proc/{init}/root/{place}") for place in _TMPFS)
    for pid in [init, *descendants(init)]:
        with _gone_is_fine():
            total += _private(pid)
    return total


def unnamed_use(init: int) -> tuple[int, int]:
    """Bytes of files that have no name and are open: in memory (memfds), and on disk."""
    named_elsewhere = {0}  # the kernel's own, and tmpfs, whose use is known
    for place in _TMPFS:
        with _gone_is_fine():
            named_elsewhere.add(os.stat(f"/proc/{init}/root/{place}").st_dev)
    memory: dict[tuple[int, int], int] = {}
    disk: dict[tuple[int, int], int] = {}
    for link in itertools.islice(_open_files(init), _MOST_OPEN_FILES):
        with contextlib.suppress(OSError):
            status = os.stat(link)
            if not stat.S_ISREG(status.st_mode) or status.st_nlink:
                continue
            identity = (status.st_dev, status.st_ino)
            if os.readlink(link).startswith("/memfd:"):
                memory[identity] = status.st_blocks * 512
            elif status.st_dev not in named_elsewhere:
                disk[identity] = status.st_blocks * 512
    return sum(memory.values()), sum(disk.values())


def _open_files(init: int) -> Iterator[str]:
    for pid in descendants(init):
        with _gone_is_fine():
            for number in os.listdir(f"/proc/{pid}/fd"):
                yield f"/proc/{pid}/fd/{number}"


def _gone_is_fine() -> contextlib.suppress:
    """For reading about a process that may end meanwhile."""
    return contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError)


def _free_space(paths: tuple[str, ...]) -> int:
    figures = os.statvfs(paths[0])
    return figures.f_bavail * figures.f_frsize


def _tmpfs_use(place: str) -> int:
    with contextlib.suppress(OSError):
        figures = os.statvfs(place)
        return (figures.f_blocks - figures.f_bfree) * figures.f_frsize
    return 0


def _private(pid: int) -> int:
    with open(f"/proc/{pid}/statm", "rb") as file:
        _, resident, shared, *_ = file.read().split()
    return (int(resident) - int(shared)) * _PAGE


class Watchdog:
    """Looks at a sandbox now and then. Only what has a limit is looked at."""

    def __init__(self, *, memory_bytes: int | None, disk_bytes: int | None, disk_paths: tuple[str, ...]) -> None:
        self._memory_bytes = memory_bytes
        self._disk_bytes = disk_bytes
        self._disk_paths = disk_paths
        self._init = 0
        self._unnamed = (0, 0)  # bytes in memory and on disk of files without a name
        self._unnamed_again = 0.0
        self._walk: Iterator[int] | None = None
        self._walk_started = 0.0
        self._walk_again = 0.0
        self._disk_use = 0
        self._free_space = 0  # of the file system, when the last walk began
        self.next_look: float | None = None  # by time.monotonic

    def start(self, init: int) -> None:
        """The command has started; `init` is the sandbox's process 1."""
        self._init = init
        if self._memory_bytes is not None or self._disk_bytes is not None:
            self.next_look = self._walk_again = time.monotonic() + _LOOK_SECONDS

    def look(self) -> str | None:
        """The name of the limit that is passed, if one is."""
        now = time.monotonic()
        if now >= self._unnamed_again:
            self._unnamed = unnamed_use(self._init)
            self._unnamed_again = time.monotonic() + _UNNAMED_SECONDS
        in_memory, on_disk = self._unnamed
        self.next_look = time.monotonic() + _LOOK_SECONDS
        if self._memory_bytes is not None and memory_use(self._init) + in_memory > self._memory_bytes:
            return "memory"
        if self._disk_bytes is not None and self._disk_passed(self._disk_bytes - on_disk):
            return "disk"
        return None

    def _disk_passed(self, limit: int) -> bool:
        """Goes on with the walk over the disk paths for a moment."""
        if limit < 0:
            return True
        now = time.monotonic()
        if self._walk is None:
            free = _free_space(self._disk_paths)
            if now < self._walk_again and free > self._free_space - limit // _HURRY:
                return False
            self._walk, self._walk_started, self._disk_use = self._all_use(), now, 0
            self._free_space = free
        try:
            for size in self._walk:
                self._disk_use += size
                if self._disk_use > limit:
                    return True
                if time.monotonic() - now > _SLICE_SECONDS:
                    return False
        except OSError:  # made unreadable, or gone altogether: begin again
            pass
        self._walk = None
        now = time.monotonic()
        self._walk_again = now + max(_REST_SECONDS, (now - self._walk_started) * _REST_RATIO)
        return False

    def _all_use(self) -> Iterator[int]:
        for path in self._disk_paths:
            yield from trees.usage(Path(path))
