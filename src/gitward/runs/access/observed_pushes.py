"""What the broker saw of a run's pushes: the only witness of whether GitHub took them."""

from __future__ import annotations

import asyncio


class ObservedPushes:
    """Told by the broker as it reads GitHub's answers."""

    def __init__(self) -> None:
        self._accepted: dict[str, str] = {}  # new head → the one before it, in the order of their arrival
        self._news = asyncio.Event()

    def saw(self, *, old: str, new: str) -> None:
        """GitHub accepted a push of the session's branch."""
        self._accepted.pop(new, None)
        self._accepted[new] = old
        self._news.set()

    @property
    def heads(self) -> frozenset[str]:
        return frozenset(self._accepted)

    @property
    def last(self) -> str | None:
        """Where the branch stands, as far as this run pushed it."""
        return next(reversed(self._accepted), None)

    async def accepted(self, head: str, *, seconds: float) -> bool:
        """Whether GitHub accepted this head; waits for the broker's word for so long at most."""
        try:
            async with asyncio.timeout(seconds):
                while head not in self._accepted:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return False
        return True
