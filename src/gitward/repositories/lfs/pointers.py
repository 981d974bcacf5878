"""Pointers: the small texts that git has in place of LFS objects. Source: the Git LFS specification."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST = 1024  # bytes of a pointer
_POINTER = re.compile(
    rb"version https?://(?:git-lfs\.github\.com|hawser\.github\.com|git-media\.io)/(?:spec/)?v[0-9]+\r?\n"
    rb"(?:ext-[^\n]*\n)*oid sha256:([0-9a-f]{64})\r?\nsize ([0-9]{1,18})\s*"
)


@dataclass(frozen=True, kw_only=True)
class Pointer:
    """An LFS object by its name."""

    oid: str  # SHA-256 of its content
    size: int  # bytes

    @property
    def path(self) -> str:
        """Where git-lfs has it in a storage."""
        return f"objects/{self.oid[:2]}/{self.oid[2:4]}/{self.oid}"

    @property
    def text(self) -> bytes:
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.oid}\nsize {self.size}\n".encode()


def parse(content: bytes) -> Pointer | None:
    """None: this is no pointer, or that of an empty file, which has no object."""
    found = _POINTER.fullmatch(content) if len(content) <= LONGEST else None
    if found is None or int(found[2]) == 0:
        return None
    return Pointer(oid=found[1].decode(), size=int(found[2]))


def in_batch(output: bytes) -> Iterator[Pointer]:
    """The pointers in what `git cat-file --batch` printed. Raises ValueError for anything else."""
    place = 0
    while place < len(output):
        end = output.index(b"\n", place)
        _, kind, size = output[place:end].split(b" ")
        content = output[end + 1 : end + 1 + int(size)]
        place = end + 2 + int(size)
        if kind == b"blob" and (found := parse(content)) is not None:
            yield found
