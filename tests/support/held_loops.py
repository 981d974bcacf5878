"""Fails the test in which something held an event loop for 100 ms of CPU, in its own process or in a service beside it.

In a service everything counts. In the test's own process the tasks and callbacks of the product do: the test's own task
makes what is large, and calls what blocks, and the stand-in GitHub is nobody's service. `longest` measures what a test
awaits itself.

Only while the test itself runs: what fixtures set up happens once, before anybody waits. Not judged are garbage
collections, which fall to whoever allocates next, and steps in which modules were imported: both happen to whatever
comes first, and not to what is slow.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import gitward
from gitward.telemetry.loop_watch import CPU_SECONDS, Held, watching

MARKER = "holds_the_loop"
BEST_OF = 3
_PRODUCT = Path(gitward.__file__).parent
_LOGGED = re.compile(r"The event loop was held for \d+ ms \((\d+) ms of CPU(?:, (\d+) of them garbage collection)?(.*)")


class Recorder:
    """What held a loop of this process, and of services whose logs are followed."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._logs: dict[Path, int] = {}  # how far each was read

    def __call__(self, held: Held) -> None:
        if _is_ours(held.origin) and _counts(held):
            self.found.append(f"{held.cpu * 1000:.0f} ms of CPU: {held.what}")

    def follow(self, log: Path) -> None:
        """What a service writes there from now on counts for the test that runs."""
        self._logs[log] = log.stat().st_size if log.exists() else 0

    def leave(self, log: Path) -> None:
        """Before the log is removed."""
        if log in self._logs:
            self._read(log)
            del self._logs[log]

    def _read(self, log: Path) -> None:
        if log.exists():
            self.found += logged(log, self._logs[log])
            self._logs[log] = log.stat().st_size

    @contextmanager
    def judging(self, item: pytest.Item) -> Iterator[None]:
        """The block is a test; it fails when something held a loop."""
        for log in self._logs:
            self._read(log)
        self.found.clear()
        yield
        for log in self._logs:
            self._read(log)
        if self.found and item.get_closest_marker(MARKER) is None:
            lines = "\n".join(self.found)
            pytest.fail(f"An event loop was held for more than {CPU_SECONDS * 1000:.0f} ms:\n{lines}", pytrace=False)


recorder = Recorder()


@contextmanager
def recording() -> Iterator[None]:
    with watching(recorder, wall=float("inf"), cpu=CPU_SECONDS):
        yield


def logged(log: Path, start: int = 0) -> list[str]:
    """What a service's log, from a byte on, tells of the same in its own process."""
    with log.open("rb") as file:
        file.seek(start)
        text = file.read().decode("utf-8", "replace")
    return [
        found[0]
        for found in _LOGGED.finditer(text)
        if int(found[1]) - int(found[2] or 0) >= CPU_SECONDS * 1000 and "with imports" not in found[3]
    ]


async def longest(call: Callable[[], Awaitable[object]], *, enough: float = 0.0) -> float:
    """The CPU seconds of the longest callback while `call` is awaited, the best of BEST_OF times.

    :param enough: when it is less than this, it need not be tried again.

    The test needs the marker `holds_the_loop`: it judges by itself.
    """
    results = []
    for _ in range(BEST_OF):
        longest = 0.0

        def tell(held: Held) -> None:
            nonlocal longest
            if not held.imported:
                longest = max(longest, held.cpu - held.gc)

        with watching(tell, wall=float("inf"), cpu=0.005):
            await call()
        results.append(longest)
        if longest < enough:
            break
    return min(results)


def _is_ours(origin: str) -> bool:
    path = Path(origin)
    return path.is_relative_to(_PRODUCT) and not path.is_relative_to(_PRODUCT / "standin")


def _counts(held: Held) -> bool:
    return held.cpu - held.gc >= CPU_SECONDS and not held.imported
