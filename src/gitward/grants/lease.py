"""The time for which a worker may act. Worker, broker and launcher each check the clock and stop by themselves.

A lease ends at a time of a clock that all processes of the machine share, that nobody can set, and that continues while
a process or the whole machine is stopped.

The launcher loads this module, and each supervisor copies what the launcher has loaded: no asyncio here.
"""

from __future__ import annotations

import math

from gitward.errors import GitwardError
from gitward.grants import clock


class LeaseLost(GitwardError):
    """The worker was silent for too long: another one may have its runs, so it may do nothing more for them."""


class Lease:
    """Renewed while the worker is seen alive. Once it has run out it stays so."""

    def __init__(self, until: float = math.inf) -> None:
        """:param until: of `clock.seconds`; without it the lease has no end."""
        self._until = until

    @property
    def until(self) -> float:
        return self._until

    @property
    def held(self) -> bool:
        return clock.seconds() < self._until

    @property
    def left(self) -> float:
        """Seconds until its end, 0 when it is over."""
        return max(0.0, self._until - clock.seconds())

    def require(self) -> None:
        """To be called before anything that shows outside. Raises LeaseLost when the lease is over."""
        if not self.held:
            raise LeaseLost("this worker was silent for too long; another one may have its runs")

    def renew(self, until: float) -> bool:
        """Whether it could be renewed: not after its end, which others may have acted upon."""
        if not self.held:
            return False
        self._until = max(self._until, until)
        return True

    def give_up(self) -> None:
        """Ends it now."""
        self._until = -math.inf
