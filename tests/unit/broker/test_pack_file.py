"""A pack on its way through a file."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gitward.broker.server.inspection import pack_file
from gitward.broker.server.inspection.pack_file import PackFile
from gitward.grants.inspection import InspectionFailed


def opened(folder: Path) -> PackFile:
    return PackFile(os.open(folder, os.O_TMPFILE | os.O_RDWR))


async def of(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@pytest.mark.parametrize("pieces", [[], [b"x"], [b"x"] * 3000, [b"y" * 700_000] * 5], ids=len)
async def test_what_goes_in_comes_out(tmp_path: Path, pieces: list[bytes]) -> None:
    file = opened(tmp_path)
    await file.fill(b"first", of(*pieces))
    got = b"".join([bytes(piece) async for piece in file.pieces(b"before")])
    assert got == b"beforefirst" + b"".join(pieces)
    assert file.size == len(got) - len(b"before")
    file.close()
    assert list(tmp_path.iterdir()) == []


async def test_what_somebody_puts_behind_a_push_stays_here(tmp_path: Path) -> None:
    """The length counts that was received; a file that lost some of it ends the push."""
    file = opened(tmp_path)
    await file.fill(b"PACK", of(b"x" * 100))
    os.pwrite(file.descriptor, b"evil", 104)
    assert b"".join([bytes(piece) async for piece in file.pieces(b"")]) == b"PACK" + b"x" * 100
    os.ftruncate(file.descriptor, 50)
    with pytest.raises(OSError, match="shorter"):
        [bytes(piece) async for piece in file.pieces(b"")]
    file.close()


async def test_a_disk_that_is_full_is_told(tmp_path: Path) -> None:
    """The kernel's limit on the length of a file stands for it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    file = opened(tmp_path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(InspectionFailed, match="no room"):
            await file.fill(b"", of(b"x" * 2_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    file.close()


async def test_whoever_is_cancelled_leaves_the_file_closed(tmp_path: Path) -> None:
    file = opened(tmp_path)
    waiting = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * pack_file._PIECE
        waiting.set()
        await asyncio.Event().wait()

    filling = asyncio.create_task(file.fill(b"", endless()))
    await waiting.wait()
    filling.cancel()
    await asyncio.wait([filling])
    file.close()
    await asyncio.to_thread(file._thread.shutdown)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file.descriptor)
