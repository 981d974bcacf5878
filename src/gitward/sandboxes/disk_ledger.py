"""What the sandboxes of one launcher added to the disk, shared by their supervisors.

A file system loses space to all of them together; with the ledger each supervisor knows what the others account for.
The launcher creates it before it forks, so that all share the same memory.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass, replace

_ENTRIES = 1024  # more than there are supervisors at a time: an entry is used again by a later one
_ENTRY = struct.Struct("=q")


class DiskLedger:
    """Entries that only grow by what their supervisors add, and stay when those end."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _ENTRIES * _ENTRY.size)
        self._next = 0

    def next_entry(self) -> Entry:
        """For the supervisor that is forked next."""
        self._next = (self._next + 1) % _ENTRIES
        return Entry(ledger=self, offset=self._next * _ENTRY.size, before=self.read(self._next * _ENTRY.size))

    def read(self, offset: int) -> int:
        return int(_ENTRY.unpack_from(self._memory, offset)[0])

    def write(self, offset: int, value: int) -> None:
        _ENTRY.pack_into(self._memory, offset, value)

    def total(self) -> int:
        with memoryview(self._memory) as memory, memory.cast("q") as values:
            return sum(values)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One supervisor's own."""

    ledger: DiskLedger
    offset: int
    before: int  # what earlier supervisors left in it

    def tell(self, added: int) -> None:
        """Bytes that the sandbox added since its command began."""
        self.ledger.write(self.offset, self.before + max(0, added))

    def after(self) -> Entry:
        """For the next command under the same supervisor."""
        return replace(self, before=self.ledger.read(self.offset))

    def others(self) -> int:
        """What all others added, ever."""
        return self.ledger.total() - (self.ledger.read(self.offset) - self.before)
