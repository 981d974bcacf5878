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
    init: int
    exit_code: int | None = None  # as a shell says it; None: nobody but process 1 knows it
    is_over: bool = False  # process 1 does not take notice of its end, or cannot
    _seen_held: bool = False

    @classmethod
    def of(cls, init: int) -> FirstCommand | None:
        """None when there is none yet. Ask early: when the command is over, process 1 has other children."""
        found = children(init)
        return cls(pid=found[0], init=init) if found else None

    def waits_for_long(self) -> bool:
        """Whether it had ended at the last call already, and is not reaped; or process 1 was stopped by then and is."""
        command, process_1 = _state(self.pid), _state(self.init)
        has_ended = command is not None and command[0] == b"Z"
        held = has_ended or (process_1 is not None and process_1[0] in _STOPPED)
        if held and self._seen_held:
            self.is_over = True
            self.exit_code = _as_a_shell_says_it(command[1]) if has_ended and command is not None else None
        self._seen_held = held
        return self.is_over


_STOPPED = (b"t", b"T")


def _as_a_shell_says_it(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def _state(pid: int) -> tuple[bytes, int] | None:
    """The state of a process, and its wait status if it is a zombie (proc(5), `stat`); None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0], int(fields[-1])


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
