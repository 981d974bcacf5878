"""The processes of a sandbox as its supervisor sees them, with the files that each holds.

Any of them may end while it is read.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

TMPFS = ("tmp", "dev/shm", "run")
MOST_OPEN_FILES = 20_000  # looked at, so that a sandbox cannot keep its supervisor busy

Identity = tuple[int, int]  # device and inode


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


def gone_is_fine() -> contextlib.suppress:
    """For reading about a process that may end meanwhile, or that nobody may look at."""
    return contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError)


def tmpfs_devices(init: int) -> set[int]:
    """Of the sandbox's own tmpfs."""
    found: set[int] = set()
    for place in TMPFS:
        with gone_is_fine():
            found.add(os.stat(f"/proc/{init}/root/{place}").st_dev)
    return found


@dataclass(frozen=True, kw_only=True)
class Unnamed:
    """Files that have no name and are open, with their bytes."""

    memory: dict[Identity, int] = field(default_factory=dict)  # memfds
    disk: dict[Identity, int] = field(default_factory=dict)
    complete: bool = True  # every open file was looked at


def unnamed_files(init: int) -> Unnamed:
    """Looks at what the processes have open. Files that are only mapped, or on their way in a socket, are not there."""
    elsewhere = {0} | tmpfs_devices(init)  # the kernel's own, and tmpfs, whose use is known
    memory: dict[Identity, int] = {}
    disk: dict[Identity, int] = {}
    links = open_files(descendants(init))
    for link in itertools.islice(links, MOST_OPEN_FILES):
        with contextlib.suppress(OSError):
            status = os.stat(link)
            if not stat.S_ISREG(status.st_mode) or status.st_nlink:
                continue
            identity = (status.st_dev, status.st_ino)
            if os.readlink(link).startswith("/memfd:"):
                memory[identity] = status.st_blocks * 512
            elif status.st_dev not in elsewhere:
                disk[identity] = status.st_blocks * 512
    return Unnamed(memory=memory, disk=disk, complete=next(links, None) is None)


def open_files(pids: list[int]) -> Iterator[str]:
    """The links of /proc that lead to open files."""
    for pid in pids:
        with gone_is_fine():
            for number in os.listdir(f"/proc/{pid}/fd"):
                yield f"/proc/{pid}/fd/{number}"
