"""Tells waiting readers of this process that a session has new events."""

from __future__ import annotations

import asyncio
from collections import defaultdict


class Notifier:
    """Wakes whoever waits for a session. A wake-up may be lost or come for nothing: readers look at the rows."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def notify(self, session_id: str) -> None:
        """Wakes the readers of one session. Call it on the loop, after the commit."""
        for waiter in self._waiting.get(session_id, ()):
            waiter.set()

    def subscribe(self, session_id: str) -> Subscription:
        return Subscription(self._waiting, session_id)


class Subscription:
    """Use as a context manager around the loop that reads rows and then waits."""

    def __init__(self, waiting: defaultdict[str, set[asyncio.Event]], session_id: str) -> None:
        self._waiting, self._session_id, self._event = waiting, session_id, asyncio.Event()

    def __enter__(self) -> Subscription:
        self._waiting[self._session_id].add(self._event)
        return self

    def __exit__(self, *_: object) -> None:
        waiters = self._waiting[self._session_id]
        waiters.discard(self._event)
        if not waiters:
            del self._waiting[self._session_id]

    async def wait(self, seconds: float) -> bool:
        """Waits for the next wake-up, at most `seconds`; False when the time ran out.

        Clears the wake-up before it returns, so the caller must read the rows afterwards.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True
