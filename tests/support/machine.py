"""How much of itself the machine gives: a limit of time that holds on a quiet one is stretched on a busy one."""

from __future__ import annotations

import time

_SPIN_SECONDS = 0.04  # of processor time; an event loop may be held for less than 0.1


def slowness() -> float:
    """How many times longer work takes now than on a machine that does nothing else; 1 on such a one.

    Work that goes through several processes waits for its turn in each.
    """
    wall, cpu = time.monotonic(), time.thread_time()
    while time.thread_time() - cpu < _SPIN_SECONDS:
        pass
    stretched = (time.monotonic() - wall) / (time.thread_time() - cpu)
    return 1.0 + 3.0 * max(0.0, stretched - 1.0)
