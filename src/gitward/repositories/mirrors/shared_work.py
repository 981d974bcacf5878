"""One piece of work at a time for each key, shared by all callers that asked before it began."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Turn(Generic[T]):
    """A piece of work that whoever asks before `begins` may share."""

    def __init__(self) -> None:
        self.task: asyncio.Task[T]
        self.began = False

    def begins(self) -> None:
        """From now on it is too late to share it."""
        self.began = True


class SharedWork(Generic[T]):
    """The turns of every key. Their tasks belong to nobody who waits for them."""

    def __init__(self) -> None:
        self._last: dict[str, Turn[T]] = {}
        self._tasks: set[asyncio.Task[T]] = set()

    def keys(self) -> tuple[str, ...]:
        """Those with a turn that is not over."""
        return tuple(self._last)

    def join(self, key: str, work: Callable[[Turn[T]], Awaitable[T]]) -> tuple[Turn[T], bool]:
        """A turn that has not begun; and whether it is a new one that waits for no other."""
        last = self._last.get(key)
        if last is not None and not last.began:
            return last, False
        turn = Turn[T]()
        turn.task = asyncio.create_task(_after(last, work, turn), name=f"turn of {key}")
        self._last[key] = turn
        self._tasks.add(turn.task)
        turn.task.add_done_callback(lambda task: self._ended(key, turn, task))
        return turn, last is None

    def _ended(self, key: str, turn: Turn[T], task: asyncio.Task[T]) -> None:
        self._tasks.discard(task)
        turn.began = True
        if self._last.get(key) is turn:
            del self._last[key]
        if not task.cancelled():
            task.exception()  # all who waited may be gone

    async def stop(self) -> None:
        """Ends every turn."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def _after(previous: Turn[T] | None, work: Callable[[Turn[T]], Awaitable[T]], turn: Turn[T]) -> T:
    if previous is not None:
        await asyncio.wait({previous.task})
    return await work(turn)
