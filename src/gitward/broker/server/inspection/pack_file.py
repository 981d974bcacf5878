"""A pack on disk: written as it arrives, read again when it is forwarded, never in memory as a whole."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from gitward.grants.inspection import BadPack, InspectionFailed

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_PACK = 2 * 1024**3  # bytes: what GitHub takes in one push
_PIECE = 1024 * 1024  # bytes written or read at once, in a thread
_PIECES = 512  # that one write takes; the kernel's limit is 1024
_SENT = 128 * 1024  # bytes sent at once: asyncio copies what a socket does not take


class PackFile:
    """A file by its descriptor, which is ours from now on. Close it.

    One thread does everything with the file, one thing after the other: whoever is cancelled while it writes cannot
    have it write to a number that is another file by then.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.size = 0
        self._thread = ThreadPoolExecutor(1, "spool")

    def close(self) -> None:
        self._thread.submit(os.close, self.descriptor)
        self._thread.shutdown(wait=False)

    async def fill(self, first: bytes, body: AsyncIterator[bytes]) -> None:
        """Writes all of it. Raises BadPack when it is too much, InspectionFailed when it cannot be written."""
        held, count = [first], len(first)
        async for piece in body:
            held.append(piece)
            count += len(piece)
            if self.size + count > MAX_PACK:
                raise BadPack(f"a push must have at most {MAX_PACK} bytes; push in several steps")
            if count >= _PIECE or len(held) >= _PIECES:
                await self._append(held, count)
                held, count = [], 0
        await self._append(held, count)

    async def pieces(self, before: bytes) -> AsyncIterator[bytes | memoryview]:
        """`before`, then what `fill` wrote: not what somebody else put behind it. Raises OSError when some is gone."""
        yield before
        offset = 0
        while offset < self.size:
            read = await self._do(os.pread, self.descriptor, min(_PIECE, self.size - offset), offset)
            if not read:
                raise OSError("a push that was written to disk has become shorter")
            offset += len(read)
            for start in range(0, len(read), _SENT):
                yield memoryview(read)[start : start + _SENT]

    async def _append(self, pieces: list[bytes], size: int) -> None:
        self.size += size
        try:
            await self._do(_write_all, self.descriptor, pieces, size)
        except OSError as error:
            log.warning("a push could not be written to disk: %s", error)
            raise InspectionFailed("the worker has no room for this push; try again later") from error

    async def _do(self, act: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, act, *arguments)


def _write_all(descriptor: int, pieces: list[bytes], size: int) -> None:
    written = os.writev(descriptor, pieces)
    if written < size:  # the disk is nearly full, or a signal came
        rest = memoryview(b"".join(pieces))[written:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]
