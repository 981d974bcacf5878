"""Detects callbacks that hold an event loop, for which everything else in the process waits. asyncio itself detects
them only in its debug mode, which costs far more.

For a callback this module reads the monotonic clock twice. To read the thread's clock is a system call: that happens
only every CPU_CLOCK_SECONDS, and after a callback that took long.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from threading import get_ident
from time import monotonic, thread_time
from typing import Any

log = logging.getLogger(__name__)

WALL_SECONDS = 0.25  # that one callback may take in production, before the log tells of it; machines are busy
CPU_SECONDS = 0.1  # that one callback may compute
CPU_CLOCK_SECONDS = 0.005  # how far the CPU time that is told may be above what the callback took
_COLLECTIONS = 100  # that are remembered
MOST_TOLD, TOLD_SECONDS = 10, 60.0  # so many records in so many seconds, the others are counted


@dataclass(frozen=True, kw_only=True)
class Held:
    """One callback, or one step of a task, that held its loop."""

    what: str  # the task or callback, and where it is now
    wall: float  # seconds
    cpu: float  # seconds of its thread, of which …
    gc: float  # … so many went into garbage collection, which is whoever allocates next's
    imported: bool  # whether it imported modules: that happens once
    origin: str = ""  # the file in which the task's coroutine, or the callback, is defined


Tell = Callable[[Held], None]


@contextlib.contextmanager
def watching(tell: Tell, *, wall: float, cpu: float) -> Iterator[None]:
    """Calls `tell` after each callback of any loop of this process that took longer than one of the two.

    CPU time is the thread's own: how busy the machine is makes no difference.
    """
    original = asyncio.Handle._run
    collections = _Collections()
    cpu_clock = _CpuClock()
    shortest = min(wall, cpu)

    def run(handle: Any) -> None:
        modules = len(sys.modules)
        began = monotonic()
        if began >= cpu_clock.next_reading:
            cpu_clock.read(began)
        original(handle)
        took = monotonic() - began
        if took < shortest:  # no thread computes longer than it runs
            return
        computed = min(took, cpu_clock.computed())
        if took >= wall or computed >= cpu:
            held = Held(
                what=_describe(handle),
                wall=took,
                cpu=computed,
                gc=collections.seconds_since(began),
                imported=len(sys.modules) != modules,
                origin=_origin(handle),
            )
            tell(held)

    asyncio.Handle._run = run  # type: ignore[method-assign, assignment]  # every callback passes here
    gc.callbacks.append(collections)
    try:
        yield
    finally:
        gc.callbacks.remove(collections)
        asyncio.Handle._run = original  # type: ignore[method-assign]  # puts back what was there


class _CpuClock:
    """The CPU time of each thread that runs a loop, read now and then."""

    def __init__(self) -> None:
        self._threads = threading.local()

    @property
    def next_reading(self) -> float:
        """By the monotonic clock, for this thread."""
        return getattr(self._threads, "next_reading", float("-inf"))

    def read(self, now: float) -> None:
        self._threads.cpu = thread_time()
        self._threads.next_reading = now + CPU_CLOCK_SECONDS

    def computed(self) -> float:
        """Seconds of CPU since the last reading; the next callback reads anew."""
        self._threads.next_reading = float("-inf")
        since: float = thread_time() - self._threads.cpu
        return since


class _Collections:
    """The last garbage collections: whose thread, when they ended, and their CPU seconds."""

    def __init__(self) -> None:
        # Replaced whole: a collection may begin while this is read, and even because of it.
        self._last: tuple[tuple[int, float, float], ...] = ()
        self._began: dict[int, float] = {}  # by thread

    def seconds_since(self, began: float) -> float:
        """Of this thread."""
        return sum(seconds for thread, at, seconds in self._last if thread == get_ident() and at >= began)

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        if info["generation"] < 2:  # the others take less than a millisecond, and come often
            return
        if phase == "start":
            self._began[get_ident()] = thread_time()
        else:
            began = self._began.pop(get_ident(), None)
            if began is not None:
                self._last = (*self._last[1 - _COLLECTIONS :], (get_ident(), monotonic(), thread_time() - began))


def _origin(handle: Any) -> str:
    callback = handle._callback
    while isinstance(callback, partial):
        callback = callback.func
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        code = getattr(owner.get_coro(), "cr_code", None)
    else:
        code = getattr(callback, "__code__", None)
    return "" if code is None else str(code.co_filename)


def _describe(handle: Any) -> str:
    callback = handle._callback
    owner = getattr(callback, "__self__", None)
    if not isinstance(owner, asyncio.Task):
        return getattr(callback, "__qualname__", None) or type(callback).__name__
    name = getattr(owner.get_coro(), "__qualname__", "a coroutine")
    places = [f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno}" for frame in _frames(owner)]
    return f"{name} ({owner.get_name()})" + (f", now at {' > '.join(places[-4:])}" if places else ", which ended")


def _frames(task: asyncio.Task[Any]) -> Iterator[Any]:
    """Where the task waits now, from the outermost coroutine inwards."""
    inner: Any = task.get_coro()
    while inner is not None:
        frame = getattr(inner, "cr_frame", None) or getattr(inner, "gi_frame", None) or getattr(inner, "ag_frame", None)
        if frame is not None:
            yield frame
        inner = getattr(inner, "cr_await", None) or getattr(inner, "gi_yieldfrom", None)


class LoopLog:
    """Logs what held the loop, MOST_TOLD times in TOLD_SECONDS at most: a slow machine shall not fill its disk."""

    def __init__(self, *, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._since = float("-inf")
        self._told = self._left_out = 0

    def __call__(self, held: Held) -> None:
        now = self._clock()
        if now - self._since >= TOLD_SECONDS:
            if self._left_out:
                log.warning("The event loop was held %d more times, which are not listed", self._left_out)
            self._since, self._told, self._left_out = now, 0, 0
        if self._told == MOST_TOLD:
            self._left_out += 1
            return
        self._told += 1
        log.warning(
            "The event loop was held for %d ms (%d ms of CPU%s%s) by %s",
            held.wall * 1000,
            held.cpu * 1000,
            f", {held.gc * 1000:.0f} of them garbage collection" if held.gc else "",
            ", with imports" if held.imported else "",
            held.what,
        )


@contextlib.contextmanager
def logging_what_holds_the_loop() -> Iterator[None]:
    """For a service: the log tells what made callers wait."""
    with watching(LoopLog(), wall=WALL_SECONDS, cpu=CPU_SECONDS):
        yield
