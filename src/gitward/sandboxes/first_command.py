"""Detects that the command itself, the first child of a sandbox's process 1, has ended although process 1 hangs.

Process 1 reaps the command and reports its exit code. If something stopped process 1, nobody does, and the run would
wait until its time is over.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

from gitward.sandboxes.bwrap_process import NICENESS
from gitward.sandboxes.processes_inside import children


@dataclass
class FirstCommand:
    """Seen from outside."""

    pid: int
    exit_code: int | None = None  # as a shell says it, once it was found dead and waiting twice in a row
    _seen_dead: bool = False

    @classmethod
    def of(cls, init: int) -> FirstCommand | None:
        """None when there is none yet, or no more."""
        found = children(init)
        if not found:
            return None
        _give_way(found[0])
        return cls(found[0])

    def waits_for_long(self) -> bool:
        """Whether it was dead at the last call already, and is still waiting."""
        status = _status_of_zombie(self.pid)
        if status is None:
            self._seen_dead = False
        elif self._seen_dead:
            code = os.waitstatus_to_exitcode(status)
            self.exit_code = 128 - code if code < 0 else code
        self._seen_dead = status is not None
        return self.exit_code is not None


def _status_of_zombie(pid: int) -> int | None:
    """The wait status of a process that has ended and is not reaped; proc(5), the last field of `stat`."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(fields[-1]) if fields[0] == b"Z" else None


def _give_way(pid: int) -> None:
    """Its session has a niceness of its own where the kernel groups processes by session (sched(7), autogroup)."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/autogroup", "wb", buffering=0) as file:
        file.write(b"%d" % NICENESS)
