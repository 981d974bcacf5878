"""Locks of files that the kernel frees when the process that holds one ends."""

from __future__ import annotations

import fcntl
import time


def lock_until(descriptor: int, deadline: float, *, pause: float) -> bool:
    """Locks an open file for this process alone; False when `deadline` (of the monotonic clock) came first. Blocks.

    :param pause: seconds between two tries.
    """
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(pause)
        else:
            return True
