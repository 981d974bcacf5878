"""Notifies waiting readers of new events of a session: in this process, and through `relay` in others."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable


class Notifier:
    """Wakes whoever waits for a session. A wake-up may be lost or come for nothing: readers look at the rows."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._carrier: Callable[[str], None] | None = None

    def carry(self, carrier: Callable[[str], None] | None) -> None:
        """From now on `carrier` is told of what this process tells; it must not block."""
        self._carrier = carrier

    def notify(self, session_id: str) -> None:
        """Wakes the readers of one session, wherever they are. Call it on the loop, after the commit."""
        self.wake(session_id)
        if self._carrier is not None:
            self._carrier(session_id)

    def wake(self, session_id: str) -> None:
        """Wakes those of this process."""
        for waiter in self._waiting.get(session_id, ()):
            waiter.set()

    def wake_all(self) -> None:
        for waiters in self._waiting.values():
            for waiter in waiters:
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
