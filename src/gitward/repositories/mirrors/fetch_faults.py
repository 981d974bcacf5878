"""Decides by git's words whose fault a failed fetch is; a sandbox has English only."""

from __future__ import annotations

import re

_DISKS = re.compile(
    r"No space left on device|Disk quota exceeded|File too large|Read-only file system|Input/output error"
)
_THEIRS = re.compile(
    r"^remote: |unable to access|Authentication failed|could not read Username|repository .* not found|returned error:"
    r"|RPC failed|early EOF|hung up|unexpected disconnect|Connection |resolve host|protocol error|bad line length"
    r"|expected (?:flush|ACK|shallow|packfile)|Empty reply|(?:Recv|Send) failure|transfer closed|handshake"
    r"|Operation (?:timed out|too slow)|GnuTLS|SSL",
    re.MULTILINE,
)


# What is left to say when index-pack was killed because its file became longer than a sandbox's may be.
_CUT = "fatal: fetch-pack: invalid index-pack output"


def is_cut(tail: str) -> bool:
    """Whether the limit of one file's length is why."""
    return tail.strip() == _CUT


def is_disks(tail: str) -> bool:
    """Whether the disk is why."""
    return _DISKS.search(tail) is not None


def is_theirs(tail: str) -> bool:
    """Whether GitHub, the network or the token is why."""
    return _THEIRS.search(tail) is not None and not is_disks(tail)
