"""How fast an agent may talk: who talks faster waits, by its own pipe; nobody else does."""

from __future__ import annotations

import asyncio

UNITS_A_SECOND = 2_000.0
BURST = 4_000.0
BYTES_A_UNIT = 8 * 1024  # a line is one unit and its length in these
NAP_SECONDS = 0.05  # the shortest wait, so that a flood does not wake the worker for each line
STRETCH = 200  # units in a row, then others have their turn


class Pace:
    """A bucket of units that fills with time."""

    def __init__(self, units_a_second: float = UNITS_A_SECOND, burst: float = BURST) -> None:
        self._rate, self._burst = units_a_second, burst
        self._left = burst
        self._at = asyncio.get_running_loop().time()
        self._stretch = 0.0
        self.spent = 0.0  # altogether

    async def spend(self, length: int) -> None:
        """Takes what a line, or a part of one, of this length costs; waits when the bucket is empty."""
        units = 1 + length / BYTES_A_UNIT
        now = asyncio.get_running_loop().time()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate) - units
        self._at = now
        self.spent += units
        self._stretch += units
        if -self._left >= NAP_SECONDS * self._rate:
            self._stretch = 0
            await asyncio.sleep(-self._left / self._rate)
        elif self._stretch >= STRETCH:
            self._stretch = 0
            await asyncio.sleep(0)
