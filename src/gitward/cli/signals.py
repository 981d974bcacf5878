"""What SIGTERM and SIGINT do: the first asks for an orderly end, the second for a quick one."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gitward.workers.worker import Worker

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """Made on the running loop; from then on the signals are ours, until the process ends."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        self.third = asyncio.Event()
        loop = asyncio.get_running_loop()
        for each in _SIGNALS:
            loop.add_signal_handler(each, self._take)

    def _take(self) -> None:
        next((event for event in (self.first, self.second) if not event.is_set()), self.third).set()


async def drain(worker: Worker, signals: Signals, *, seconds: float) -> None:
    """Lets the worker's runs end; not longer than `seconds`, and not after a second signal."""
    draining = asyncio.create_task(worker.drain(seconds))
    hurried = asyncio.create_task(signals.second.wait())
    try:
        await asyncio.wait({draining, hurried}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (draining, hurried):
            task.cancel()
        await asyncio.gather(draining, hurried, return_exceptions=True)
