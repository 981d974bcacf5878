"""Files on the host: a workspace, the data folder, temporary folders."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from gitward.audit.channels import RECORDED, Channel
from gitward.audit.ledger import Ledger

PIECE = 16 * 1024 * 1024  # bytes that are searched at once
_OVERLAP = 4096  # bytes; more than the longest spelling
TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm", "/run")  # noqa: S108  # looked into, not written to
_DEEPEST = 6  # folders below one of them
_MOST_TEMPORARY = 256 * 1024 * 1024  # bytes of temporary files in all


def search_file(ledger: Ledger, channel: Channel, path: Path, *, place: str) -> None:
    """A file of any size, and its name; of what is no file, the name, and where a link leads."""
    ledger.search(channel, place, _target(path))
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return
        tail = b""
        while piece := file.read(PIECE):
            ledger.search(channel, place, tail + piece)
            tail = piece[-_OVERLAP:]


def search_folder(ledger: Ledger, channel: Channel, folder: Path, *, but: frozenset[str] = frozenset()) -> None:
    """Every file below; `but` names entries of the folder itself that are left out."""
    for path in _files(folder, but=but):
        search_file(ledger, channel, path, place=str(path.relative_to(folder)))


def search_records(ledger: Ledger, home: Path) -> None:
    """What the hostile command has written down, each folder for its channel."""
    for name, channel in RECORDED.items():
        search_folder(ledger, channel, home / ".audit" / name)


def search_temporary(ledger: Ledger, *, since: float, but: Path) -> None:
    """The host's temporary files that were written after `since`, outside of `but`, which has a channel of its own.

    The small ones first, and up to a bound: other work of the machine may write a lot at the same time.
    """
    left = _MOST_TEMPORARY
    for size, path in sorted(_fresh(since, but)):
        left -= size
        if left < 0:
            return
        search_file(ledger, Channel.TEMPORARY, path, place=str(path))


def _fresh(since: float, but: Path) -> Iterator[tuple[int, Path]]:
    for root in TEMPORARY:
        yield from _fresh_below(root, since, str(but), _DEEPEST)


def _fresh_below(folder: str, since: float, but: str, depth: int) -> Iterator[tuple[int, Path]]:
    """A machine may have a million temporary files: none gets a `Path` that is not fresh."""
    if folder == but:
        return
    try:
        with os.scandir(folder) as listed:
            entries = list(listed)
    except OSError:
        return
    for entry in entries:
        try:
            if entry.is_dir(follow_symlinks=False):
                if depth > 0:
                    yield from _fresh_below(entry.path, since, but, depth - 1)
                continue
            status = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode) and max(status.st_mtime, status.st_ctime) >= since:
            yield status.st_size, Path(entry.path)


def _target(path: Path) -> bytes:
    try:
        return os.fsencode(os.readlink(path))
    except OSError:
        return b""


def _files(folder: Path, *, but: frozenset[str]) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        here = Path(root)
        if here == folder:
            folders[:] = [name for name in folders if name not in but]
        yield from (here / name for name in files if here != folder or name not in but)
