"""An inspector that says what a test wants, without a sandbox."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from gitward.grants.inspection import Findings

Look = Callable[[], Findings]


def raising(error: Exception) -> Look:
    def look() -> Findings:
        raise error

    return look


class Scripted:
    """An inspector whose looks do what a test wants, one after the other; then they see an empty pack."""

    def __init__(self, folder: Path, *looks: Look) -> None:
        self._folder = folder
        self.looks = list(looks)
        self.looking = asyncio.Event()
        self.hold = False
        self.cancelled = 0

    def open_file(self) -> int:
        return os.open(self._folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)

    async def inspect(self, pack: int, tip: str, *, messages: bool = False) -> Findings:  # the protocol's names
        self.looking.set()
        if self.hold:
            self.hold = False
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return self.looks.pop(0)() if self.looks else Findings(tree="e" * 40, trees={"e" * 40: {}})
