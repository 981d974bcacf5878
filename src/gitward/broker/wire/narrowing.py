"""How the worker narrows a grant of the process to one push.

A push can have more LFS objects than one message holds: they travel in a file in memory, one a line.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

from gitward.grants import channel
from gitward.grants.channel import Message
from gitward.grants.grant import MAX_LFS_OIDS, ExactPush

_LINE = 65  # bytes of an object id with its line break


@contextlib.contextmanager
def narrowing_messages(push: ExactPush) -> Iterator[tuple[Message, list[int]]]:
    """The message and its descriptor, which is closed at the end of the block."""
    with os.fdopen(os.memfd_create("lfs objects"), "wb") as file:
        file.write("".join(f"{oid}\n" for oid in push.lfs_oids).encode())
        file.flush()
        yield {"op": "narrow", "old": push.old, "new": push.new, "ref": push.ref}, [file.fileno()]


def narrowing_of(message: Message, fds: Sequence[int]) -> ExactPush:
    """The push that `told` wrote. Closes `fds`. Raises ValueError and KeyError."""
    try:
        (fd,) = fds
        oids = os.pread(fd, MAX_LFS_OIDS * _LINE + 1, 0).decode().split()
    finally:
        channel.close_all(fds)
    return ExactPush(old=message["old"], new=message["new"], ref=message["ref"], lfs_oids=tuple(oids))
