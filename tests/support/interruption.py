"""Cancelling a coroutine at one of its await points, chosen by number: what no sleep could hit."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class CancelledAt(Generic[T]):
    """Awaits a coroutine; its task is cancelled each time when one of these awaits begins to wait.

    `waits` tells afterwards how often it waited: when it is below every number, nothing was cancelled.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T], *numbers: int) -> None:
        self._coroutine = coroutine
        self._numbers = numbers
        self.waits = 0

    def __await__(self) -> Generator[Any, Any, T]:
        error: BaseException | None = None
        while True:
            try:
                waited_for = self._coroutine.send(None) if error is None else self._coroutine.throw(error)
            except StopIteration as end:
                value: T = end.value
                return value
            self.waits += 1
            if self.waits in self._numbers:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            error = None
            try:
                yield waited_for
            except BaseException as raised:  # noqa: BLE001 -- handed on to the coroutine
                error = raised
