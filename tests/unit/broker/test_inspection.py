"""Descriptors of questions and answers about pushes, when whoever asked gives up."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from gitward.broker.client.inspection import Inspections
from gitward.broker.server.inspection.requests import InspectionRequests
from gitward.broker.wire.inspection import FileRequest
from gitward.grants.channel import Message
from gitward.grants.inspection import Findings


class Slow:
    """An inspector whose files take a moment."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def spool(self) -> int:
        return os.open(self._folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)

    async def look(self, pack: int, tip: str, *, messages: bool = False) -> Findings:
        raise NotImplementedError


async def nowhere(message: Message, fds: Sequence[int] = ()) -> None:
    """Takes every message."""


def opened_in(folder: Path) -> list[str]:
    links = [Path("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
    return [target for link in links if link.is_symlink() and (target := os.readlink(link)).startswith(str(folder))]


async def test_an_answer_to_nobody_is_closed(tmp_path: Path) -> None:
    """The push is broken off in the moment in which its file comes."""
    questions = InspectionRequests(nowhere)
    asking = asyncio.create_task(questions.spool("run-1"))
    await asyncio.sleep(0)
    questions.answered({"number": 1}, [Slow(tmp_path).spool()])
    asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled()
    assert opened_in(tmp_path) == []


async def test_a_file_that_nobody_waits_for_is_closed(tmp_path: Path) -> None:
    """The next push asks while the file of the one before is made."""
    inspections = Inspections(Slow(tmp_path))
    for number in range(100):
        inspections.take(FileRequest(run_id="run-1").to_message(number), [], nowhere)
        await asyncio.sleep(number / 250_000)
    await inspections.close()
    async with asyncio.timeout(10):
        while opened_in(tmp_path):
            await asyncio.sleep(0.01)
