"""Keeps one process alive: replaces it when it ends or hangs, with another one in the same state."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable

from gitward.broker.client.process import BrokerError, Process
from gitward.grants.channel import ChannelClosed

log = logging.getLogger(__name__)

REPLACE_SECONDS = 30.0  # how long a call waits for the replacement of a process that is gone
PING_SECONDS = 30.0  # between two looks whether an idle process still answers
_PAUSES = (0.0, 0.1, 0.5, 1.0, 5.0)  # seconds before each try of a replacement; then the last again

# Seconds before the first try, by how many were made within the last minute: a process that its run makes end over and
# over costs one fork every five seconds, and not a core.
_REPEATED = (0.0, 0.0, 0.0, 0.5, 1.0, 2.0, 5.0)
_REPEATED_WITHIN = 60.0  # seconds

Make = Callable[[], Awaitable[Process]]  # raises BrokerError, ChannelClosed and OSError


class ProcessKeeper:
    """From `start` to `stop` there is a process, or there will be one soon."""

    def __init__(self, name: str, make: Make, *, answer_seconds: float, ping_seconds: float = PING_SECONDS) -> None:
        """`make` returns a process that has answered and was told all that it must know.

        :param answer_seconds: a process that takes longer to answer hangs.
        """
        self._name = name
        self._make = make
        self._answer_seconds = answer_seconds
        self._ping_seconds = ping_seconds
        self.process: Process | None = None  # the latest; it may have ended just now
        self.runs = False  # whether there is one that answers
        self.restarts = 0  # how often it was replaced
        self._made: deque[float] = deque(maxlen=len(_REPEATED) - 1)  # when replacements were made
        self._changed = asyncio.Condition()
        self._supervising: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises BrokerError, ChannelClosed and OSError."""
        self.process = await self._make()
        self.runs = True
        self._supervising = asyncio.create_task(self._supervise(), name=f"upkeep of {self._name}")

    async def stop(self) -> None:
        """The process has ended, and whoever waits for another one is told that there will be none."""
        if self._supervising is not None:
            self._supervising.cancel()
            await asyncio.wait([self._supervising])
            self._supervising = None
        process, self.process, self.runs = self.process, None, False
        try:
            if process is not None:
                await process.stop()
        finally:
            async with self._changed:
                self._changed.notify_all()

    async def replaced(self, pid: int) -> Process:
        """Waits until the process is another one than `pid`, and knows everything.

        :raises BrokerError: there will be none.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self.process is None or self.process.pid != pid)
        if self.process is None:
            raise BrokerError(f"{self._name} is not running")
        return self.process

    async def _supervise(self) -> None:
        while True:
            assert self.process is not None
            status = await self._end_of(self.process)
            self.runs = False
            log.error("%s %d ended (exit status %s) and is replaced", self._name, self.process.pid, status)
            process = await self._replace()
            async with self._changed:
                self.process = process
                self.restarts += 1
                self.runs = True
                self._changed.notify_all()

    async def _end_of(self, process: Process) -> int | None:
        """The exit status of a process that crashed, or was ended because it hangs."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._ping_seconds):
                    return await process.ended()
            with contextlib.suppress(ChannelClosed):
                await process.call({"op": "ping"}, seconds=self._answer_seconds)

    async def _replace(self) -> Process:
        await asyncio.sleep(self._pause())
        for pause in itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1])):
            await asyncio.sleep(pause)
            try:
                process = await self._make()
            except (BrokerError, ChannelClosed, OSError) as error:
                log.warning("no new process for %s: %s", self._name, error)
            else:
                self._made.append(time.monotonic())
                return process
        raise AssertionError("the pauses do not end")

    def _pause(self) -> float:
        now = time.monotonic()
        return _REPEATED[sum(now - made < _REPEATED_WITHIN for made in self._made)]
