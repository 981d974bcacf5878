"""Detects files on disk that a sandbox holds and that cannot be counted: see `gitward.sandboxes.disk_usage`."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator

from gitward.sandboxes.processes_inside import MOST_OPEN_FILES, Unnamed, descendants, tmpfs_devices

_LOOK_SECONDS = 1.0  # the longest look


def holds_hidden_files(init: int, unnamed: Unnamed) -> bool:
    """Whether any process does. What cannot be looked at counts as hidden, and so does what is too much to look at."""
    if not unnamed.complete:
        return True
    elsewhere = tmpfs_devices(init) | {_memfd_device()}
    counted = {inode for _, inode in unnamed.disk}
    budget, deadline = MOST_OPEN_FILES, time.monotonic() + _LOOK_SECONDS
    for pid in descendants(init):
        try:
            if _maps_hidden(pid, elsewhere, counted, deadline):
                return True
            for hides in _opens_hidden(pid, elsewhere, counted):
                budget -= 1
                if hides or budget < 0:
                    return True
        except PermissionError:
            return True
        except (FileNotFoundError, ProcessLookupError):
            continue
    return False


def _maps_hidden(pid: int, elsewhere: set[int], counted: set[int], deadline: float) -> bool:
    """A mapping of a file that is gone, and that nobody has open; or so many mappings that it takes too long."""
    with open(f"/proc/{pid}/maps", "rb") as file:
        for line in file:
            if line.endswith(b" (deleted)\n"):
                _range, _rights, _offset, device, inode, _name = line.split(maxsplit=5)
                major, _, minor = device.partition(b":")
                if os.makedev(int(major, 16), int(minor, 16)) not in elsewhere and int(inode) not in counted:
                    return True
            elif time.monotonic() > deadline:
                return True
    return False


def _opens_hidden(pid: int, elsewhere: set[int], counted: set[int]) -> Iterator[bool]:
    """For each descriptor of each thread, as threads can have tables of their own: whether it hides a file."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        folder = f"/proc/{pid}/task/{thread}"
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for number in os.listdir(f"{folder}/fd"):
                yield _hides(f"{folder}/fd/{number}", f"{folder}/fdinfo/{number}", elsewhere, counted)


def _hides(link: str, told: str, elsewhere: set[int], counted: set[int]) -> bool:
    try:
        status = os.stat(link)
        if stat.S_ISSOCK(status.st_mode):
            return _has_files_under_way(told)
    except OSError:
        return False
    is_gone = stat.S_ISREG(status.st_mode) and status.st_nlink == 0
    return is_gone and status.st_dev not in elsewhere and status.st_ino not in counted


def _has_files_under_way(told: str) -> bool:
    """Whether descriptors were sent to this socket that nobody has received."""
    with open(told, "rb") as file:
        _, _, count = file.read().partition(b"scm_fds:")
    return bool(count) and int(count.split()[0]) > 0


def _memfd_device() -> int:
    descriptor = os.memfd_create("device", os.MFD_CLOEXEC)
    try:
        return os.fstat(descriptor).st_dev
    finally:
        os.close(descriptor)
