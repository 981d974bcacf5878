"""Paths of a tree in the formats of git's plumbing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gitward.repositories.git import LISTING_BYTES, Git

GITLINK = "160000"
_REGULAR = frozenset({"100644", "100755"})
_RAW = ("--raw", "--abbrev=64", "--no-renames", "-z")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One path of a comparison, as git's raw format tells it."""

    status: str  # "A", "M", "D", "T", "U"
    old_mode: str
    new_mode: str
    old: str
    new: str
    path: bytes

    @property
    def gitlink(self) -> bool:
        return self.new_mode == GITLINK or (self.status == "D" and self.old_mode == GITLINK)

    @property
    def regular(self) -> bool:
        """Whether it is an ordinary file, before and after."""
        return self.status == "M" and {self.old_mode, self.new_mode} <= _REGULAR


async def compare(git: Git, head: str, *more: str) -> list[Change]:
    """How the index differs from a commit. Raises GitFailed."""
    told = await git.do("diff-index", "--cached", *_RAW, *more, head, "--", limit=LISTING_BYTES)
    return await asyncio.to_thread(lambda: list(changes(told)))


async def compare_files(git: Git) -> tuple[list[Change], str]:
    """How the files differ from the index, and what git complained about. Raises GitFailed.

    Of submodules git looks at HEAD alone: to know more it would run there, with the configuration that lies there.
    """
    told, complaint = await git.hear("diff-files", "--ignore-submodules=dirty", *_RAW, limit=LISTING_BYTES)
    return await asyncio.to_thread(lambda: list(changes(told))), complaint


async def compare_commits(git: Git, old: str, new: str) -> list[Change]:
    """How a commit differs from another. Raises GitFailed."""
    told = await git.do("diff-tree", "-r", *_RAW, old, new, "--", limit=LISTING_BYTES)
    return await asyncio.to_thread(lambda: list(changes(told)))


def changes(raw: bytes) -> Iterator[Change]:
    fields = raw.split(b"\0")
    for place in range(0, len(fields) - 1, 2):
        old_mode, new_mode, old, new, status = fields[place].decode().lstrip(":").split(" ")
        yield Change(status=status[:1], old_mode=old_mode, new_mode=new_mode, old=old, new=new, path=fields[place + 1])


def entry(mode: str, oid: str, path: bytes) -> bytes:
    """A line for `update-index --index-info`."""
    return f"{mode} {oid}\t".encode() + path


def no_entry(change: Change) -> bytes:
    """A line that takes its path out of an index."""
    return entry("0", "0" * len(change.old), change.path)


async def put(git: Git, lines: Iterable[bytes]) -> None:
    """Writes entries into the index. Raises GitFailed."""
    text = joined(lines)
    if text:
        await git.do("update-index", "-z", "--index-info", stdin=text)


def names(listing: bytes) -> list[bytes]:
    return [name for name in listing.split(b"\0") if name]


def joined(parts: Iterable[bytes]) -> bytes:
    return b"".join(part + b"\0" for part in parts)


def line(path: bytes) -> bytes:
    """A path on a line of its own, quoted as git reads it where that is needed."""
    if b"\n" not in path and not path.startswith(b'"'):
        return path + b"\n"
    return b'"' + b"".join(b"\\%03o" % byte for byte in path) + b'"\n'


def shown(path: bytes) -> str:
    """A name for a person."""
    text = path.decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "\ufffd" for c in text)[:200]
