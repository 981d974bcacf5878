"""A few threads in which transactions run from their first statement to their commit, each for a bounded time."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError as NotBegun
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


class Call:
    """One transaction on its way through a thread, which may be given up from outside while it lasts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cut: Callable[[], None] | None = None
        self._late = False
        self._begun = False

    def uses(self, cut: Callable[[], None]) -> None:
        """From now on `cut` makes every statement of the transaction fail.

        :raises TimeoutError: the call was given up already.
        """
        with self._lock:
            self._check()
            self._cut = cut

    def begins(self) -> None:
        """From now on the caller waits for the end, whatever that is.

        :raises TimeoutError: the call was given up already; nothing may be written.
        """
        with self._lock:
            self._check()
            self._begun = True

    def ends(self) -> None:
        """The connection belongs to others from now on."""
        with self._lock:
            self._cut = None

    def give_up(self) -> bool:
        """Cuts the transaction off; False when it has not begun, and will not."""
        with self._lock:
            self._late = True
            if self._cut is not None:
                self._cut()
            return self._begun

    def _check(self) -> None:
        if self._late:
            raise TimeoutError("the database did not answer in time")


class Threads:
    """Runs calls in threads of its own, in the order in which they come."""

    def __init__(self, number: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(number, thread_name_prefix=name)

    async def run(self, work: Callable[[Call], T], *, seconds: float) -> T:
        """The result of `work`, which is given up when it takes longer.

        A caller that is cancelled waits until a transaction that has begun has ended.

        :raises TimeoutError: it had not begun by then. One that had raises what the database says to a cut.
        """
        call = Call()
        future = self._pool.submit(work, call)
        waiting = asyncio.wrap_future(future)
        waiting.add_done_callback(_look_at)
        unbegun = asyncio.get_running_loop().create_future()
        late = asyncio.get_running_loop().call_later(seconds, _give_up, call, future, unbegun)
        try:
            await asyncio.wait({waiting, unbegun}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if not future.cancel():
                await _until_done(waiting, unbegun)
            raise
        finally:
            late.cancel()
            unbegun.cancel()
        if not waiting.done() or waiting.cancelled():
            raise TimeoutError("the database did not answer in time")
        return waiting.result()

    def close(self) -> None:
        """Waits for the calls that have begun. Blocks."""
        self._pool.shutdown(cancel_futures=True)


def _give_up(call: Call, future: Future[Any], unbegun: asyncio.Future[None]) -> None:
    if (future.cancel() or not call.give_up()) and not unbegun.done():
        unbegun.set_result(None)


async def _until_done(*futures: asyncio.Future[Any]) -> None:
    """A cancellation that comes meanwhile is raised by the caller, who has one already."""
    while not any(each.done() for each in futures):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


def _look_at(future: asyncio.Future[Any]) -> None:
    """Whoever was cancelled does not look at the result; asyncio would complain."""
    with contextlib.suppress(NotBegun):
        if not future.cancelled():
            future.exception()
