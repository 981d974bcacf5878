"""The watchdog of one command: it samples what a sandbox uses, and compares it with the limits.

It is for limits that the kernel cannot enforce: between two samples a command may exceed one.
"""

from __future__ import annotations

import time

from gitward.sandboxes.disk_ledger import Entry
from gitward.sandboxes.disk_usage import DiskWatch
from gitward.sandboxes.memory_usage import MemoryWatch
from gitward.sandboxes.processes_inside import Unnamed, unnamed_files
from gitward.sandboxes.supervisor_requests import StartRequest

_LOOK_SECONDS = 0.1
_UNNAMED_SECONDS = 0.5  # between two looks at files without a name, which cost more


class Watchdog:
    """Only what has a limit is looked at."""

    def __init__(self, start: StartRequest, entry: Entry) -> None:
        self._start = start
        self._entry = entry
        self._init = 0
        self._memory: MemoryWatch | None = None
        self._disk: DiskWatch | None = None
        self._unnamed = Unnamed()
        self._unnamed_again = 0.0
        self.next_look: float | None = None  # by time.monotonic

    def start(self, init: int) -> None:
        """The command starts now; `init` is the sandbox's process 1."""
        self._init = init
        if self._start.memory_bytes is not None:
            self._memory = MemoryWatch(self._start.memory_bytes, init)
        if self._start.disk_bytes is not None:
            self._disk = DiskWatch(self._start.disk_bytes, self._start.disk_paths, init, self._entry)
        if self._memory is not None or self._disk is not None:
            self.next_look = time.monotonic() + _LOOK_SECONDS

    def look(self) -> str | None:
        """The name of the limit that is passed, if one is."""
        if time.monotonic() >= self._unnamed_again:
            self._unnamed = unnamed_files(self._init)
            self._unnamed_again = time.monotonic() + _UNNAMED_SECONDS
        self.next_look = time.monotonic() + _LOOK_SECONDS
        if self._memory is not None and self._memory.passed(self._unnamed.memory):
            return "memory"
        if self._disk is not None and self._disk.passed(self._unnamed):
            return "disk"
        return None
