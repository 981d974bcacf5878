"""Removes folders that are in nobody's way any more, while runs go on."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from gitward.repositories import checkout

log = logging.getLogger(__name__)


class Trash:
    """What it is given is removed sooner or later: by it, or after a restart by the worker's chores."""

    def __init__(self) -> None:
        self._removing: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Semaphore(1)

    async def start(self, workspaces: Path) -> None:
        """Begins to remove what a lost worker did not."""
        for aside in await asyncio.to_thread(_leftovers, workspaces):
            self.take(aside)

    def take(self, aside: Path) -> None:
        """A folder that `checkout.empty` set aside."""
        task = asyncio.create_task(self._remove(aside), name=f"remove {aside.name}")
        self._removing.add(task)
        task.add_done_callback(self._removing.discard)

    async def _remove(self, aside: Path) -> None:
        try:
            async with self._one_at_a_time:
                await asyncio.to_thread(checkout.remove, aside)
        except FileNotFoundError:  # the workspace itself was removed
            return
        except OSError as error:
            log.warning("%s could not be removed: %s", aside, error)

    async def stop(self) -> None:
        """Waits for what is being removed."""
        if self._removing:
            await asyncio.wait(tuple(self._removing))


def _leftovers(workspaces: Path) -> list[Path]:
    folders = [path for path in workspaces.iterdir() if path.is_dir() and not path.is_symlink()]
    return [aside for folder in folders for aside in checkout.leftovers(folder)]
