"""The clock of grants: nobody can set it, and the worker and its broker see the same.

The machine's date may jump by hours when it is set or synchronized; that must neither end a grant early nor keep it
open.
"""

from __future__ import annotations

import time


def seconds() -> float:
    """Since the machine was started, the time that it was asleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
