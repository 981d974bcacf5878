"""How much memory a sandbox uses, where no cgroup counts it: private pages, tmpfs, and shared memory of every kind."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from gitward.sandboxes import namespaces
from gitward.sandboxes.processes_inside import TMPFS, Identity, descendants, gone_is_fine

_PAGE = os.sysconf("SC_PAGE_SIZE")
_KILO = 1024
_SEGMENTS = "/proc/sysvipc/shm"
_REST_RATIO = 10  # an exact look takes at most a tenth of the time
_LOOK_SECONDS = 1.0  # the longest exact look: who has so many mappings that it takes longer is counted generously
_LETTERS = b"0123456789abcdef"  # begin the line of a mapping; those of its figures begin with a capital


def is_told() -> bool:
    """Whether this kernel tells what the watchdog adds up."""
    try:
        return b"\nPss:" in Path("/proc/self/smaps").read_bytes() and os.access(_SEGMENTS, os.R_OK)
    except OSError:
        return False


class MemoryWatch:
    """Compares what the processes below `init` use with a limit. To be made by a supervisor, once: see `_segments`."""

    def __init__(self, limit: int, init: int) -> None:
        self._limit = limit
        self._init = init
        self._exact_again = 0.0  # by time.monotonic
        self._sees_segments = _join_segments(init)
        self._swaps = len(Path("/proc/swaps").read_bytes().splitlines()) > 1
        self._shared_device = _shared_memory_device()

    def passed(self, memfds: dict[Identity, int]) -> bool:
        """Whether the limit is passed. Each page counts once, also where the quick look counts it for each process."""
        known = sum(_tmpfs_use(f"/proc/{self._init}/root/{place}") for place in TMPFS)
        known += sum(memfds.values()) + (_segments() if self._sees_segments else 0)
        if known > self._limit:
            return True
        pids = [self._init, *descendants(self._init)]
        may_be = self._swaps or known + sum(map(_resident, pids)) > self._limit
        if not may_be or time.monotonic() < self._exact_again:
            return False
        began = time.monotonic()
        exact = known + sum(self._own(pid, memfds, began + _LOOK_SECONDS) for pid in pids)
        ended = time.monotonic()
        self._exact_again = ended + (ended - began) * _REST_RATIO
        return exact > self._limit

    def _own(self, pid: int, memfds: dict[Identity, int], deadline: float) -> int:
        """A process's part of the pages that are neither a file's nor counted already; after the deadline, of all."""
        inodes = {inode for device, inode in memfds if device == self._shared_device}
        total = 0
        try:
            with open(f"/proc/{pid}/smaps", "rb") as file:
                for mapping in _mappings(file):
                    if time.monotonic() > deadline:
                        return _resident(pid)
                    total += self._of_mapping(mapping, inodes)
        except PermissionError:
            return _resident(pid)
        except (FileNotFoundError, ProcessLookupError):
            return 0
        return total * _KILO

    def _of_mapping(self, mapping: _Mapping, counted: set[int]) -> int:
        """Kilobytes."""
        swapped = mapping.figures.get(b"SwapPss:", 0)
        part = mapping.figures.get(b"Pss:", 0)
        if mapping.inode == 0:
            return part + swapped
        if mapping.device == self._shared_device:
            is_counted = mapping.inode in counted or (self._sees_segments and mapping.name.startswith(b"/SYSV"))
            return 0 if is_counted else part + swapped
        return min(part, mapping.figures.get(b"Anonymous:", 0)) + swapped  # pages of a file that were written privately


class _Mapping:
    """One mapping of a process, by its first line in `smaps`."""

    def __init__(self, line: bytes) -> None:
        _range, _rights, _offset, device, inode, *name = line.split(maxsplit=5)
        major, _, minor = device.partition(b":")
        self.device = os.makedev(int(major, 16), int(minor, 16))
        self.inode = int(inode)
        self.name = name[0] if name else b""
        self.figures: dict[bytes, int] = {}


def _mappings(lines: Iterable[bytes]) -> Iterator[_Mapping]:
    """Each once its figures are complete."""
    mapping: _Mapping | None = None
    for line in lines:
        if line[:1] in _LETTERS:
            if mapping is not None:
                yield mapping
            mapping = _Mapping(line)
        elif mapping is not None and line.startswith((b"Pss:", b"SwapPss:", b"Anonymous:")):
            name, value, *_ = line.split()
            mapping.figures[name] = int(value)
    if mapping is not None:
        yield mapping


def _join_segments(init: int) -> bool:
    """Moves this process to where the sandbox's System V segments are told; it uses none itself."""
    try:
        namespaces.join(f"/proc/{init}/ns/ipc", namespaces.CLONE_NEWIPC)
    except OSError:
        return False
    return True


def _segments() -> int:
    """Bytes of System V segments in memory and swapped, also of those that no process has attached."""
    with open(_SEGMENTS, "rb") as file:
        file.readline()
        return sum(sum(map(int, line.split()[14:16])) for line in file)


def _shared_memory_device() -> int:
    """The kernel's own tmpfs: anonymous shared memory, memfds and segments are files of it."""
    descriptor = os.memfd_create("device", os.MFD_CLOEXEC)
    try:
        return os.fstat(descriptor).st_dev
    finally:
        os.close(descriptor)


def _tmpfs_use(place: str) -> int:
    with contextlib.suppress(OSError):
        figures = os.statvfs(place)
        return (figures.f_blocks - figures.f_bfree) * figures.f_frsize
    return 0


def _resident(pid: int) -> int:
    """Bytes in memory, those of files and shared ones among them."""
    with gone_is_fine(), open(f"/proc/{pid}/statm", "rb") as file:
        return int(file.read().split()[1]) * _PAGE
    return 0
