"""Detects that the command itself, the first child of a sandbox's process 1, has ended although process 1 hangs.

Process 1 reaps the command and reports its exit code. If something stopped process 1, nobody does, and the run would
wait until its time is over.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from gitward.sandboxes.bwrap_process import NICENESS
from gitward.sandboxes.processes_inside import children, descendants, gone_is_fine

_MOST_LOOKED_AT = 500  # processes, so that a sandbox cannot keep its supervisor busy


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
        return cls(found[0]) if found else None

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


def give_way(init: int) -> bool:
    """Has one more session of processes inside as nice as these were when they began; whether there is another one.

    Where the kernel shares time between sessions (sched(7), autogroup), each has a niceness of its own, and a new one
    has none. The kernel takes one change in a tenth of a second.
    """
    given: set[bytes] = set()
    for pid in descendants(init)[:_MOST_LOOKED_AT]:
        with gone_is_fine(), open(f"/proc/{pid}/autogroup", "r+b", buffering=0) as file:
            group, _, niceness = file.read().rpartition(b" nice ")
            if group in given or niceness.strip() == b"%d" % NICENESS:
                continue
            if given:
                return True
            try:
                file.write(b"%d" % NICENESS)
            except BlockingIOError:  # somebody else made a change just now
                return True
            except OSError:
                return False
            given.add(group)
    return False
