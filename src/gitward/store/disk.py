"""How much room a disk has, and what an error says about a full disk."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

MiB = 2**20
_LOW_BYTES = 4 * MiB
_LOW_PART = 16  # of a small disk it is this part that counts
_LOW_FILES = 64
_TRIAL_BYTES = 16 * 1024

_ERRNOS = {
    errno.ENOSPC: "is full",
    errno.EDQUOT: "is full: a quota is used up",
    errno.EROFS: "is read-only",
    errno.EIO: "cannot be written",
}
_POSTGRES_DISK_FULL = "53100"  # its SQLSTATE
_POSTGRES_INTERNAL = "XX000"  # for a used up quota it has no other; the rest is in the kernel's words
_PRIMARY = 0xFF  # of an error code of SQLite; the rest tells which kind of it
_SQLITE = {
    sqlite3.SQLITE_FULL: "is full",
    sqlite3.SQLITE_READONLY: "is read-only",
    sqlite3.SQLITE_CANTOPEN: "cannot be written",  # its journal cannot be made
    sqlite3.SQLITE_IOERR: "cannot be written",  # a quota, or a file system that failed and became read-only
}


def fault_of(error: BaseException) -> str | None:
    """What the error tells of a disk: "is full" …; None: it is about something else."""
    for each in _causes(error):
        if getattr(each, "sqlstate", None) == _POSTGRES_DISK_FULL:
            return _ERRNOS[errno.ENOSPC]
        if getattr(each, "sqlstate", None) == _POSTGRES_INTERNAL and os.strerror(errno.EDQUOT) in str(each):
            return _ERRNOS[errno.EDQUOT]
        if isinstance(each, sqlite3.Error):
            return _SQLITE.get(getattr(each, "sqlite_errorcode", 0) & _PRIMARY)
        if isinstance(each, OSError):
            return _ERRNOS.get(each.errno or 0)
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    yield error
    original = getattr(error, "orig", None)  # of SQLAlchemy's
    if isinstance(original, BaseException):
        yield original


def free(folder: Path) -> int:
    """Bytes that an ordinary process may still use. Blocks.

    :raises OSError: the folder cannot be looked at.
    """
    figures = os.statvfs(folder)
    return figures.f_bavail * figures.f_frsize


def total(folder: Path) -> int:
    """Bytes of the whole disk. Blocks.

    :raises OSError: the folder cannot be looked at.
    """
    figures = os.statvfs(folder)
    return figures.f_blocks * figures.f_frsize


def is_low(folder: Path) -> bool:
    """Whether the disk is full for practical purposes: of bytes, or of files. Blocks."""
    try:
        figures = os.statvfs(folder)
    except OSError:
        return False
    if figures.f_files and figures.f_favail < min(_LOW_FILES, figures.f_files // _LOW_PART):
        return True
    return figures.f_bavail < min(_LOW_BYTES // figures.f_frsize, figures.f_blocks // _LOW_PART)


def refusal(folder: Path) -> str | None:
    """Tries to write a small file: why that cannot be done; None: it can. Blocks.

    A look at the free blocks knows nothing of quotas, nor of a file system that became read-only.
    """
    try:
        with _trial(folder) as file:
            os.write(file, b"\0" * _TRIAL_BYTES)
            os.fdatasync(file)  # room that is promised only later may be refused then
    except OSError as error:
        return _ERRNOS.get(error.errno or 0, f"cannot be written ({os.strerror(error.errno or 0)})")
    return None


@contextlib.contextmanager
def _trial(folder: Path) -> Iterator[int]:
    file, name = tempfile.mkstemp(prefix="trial-", dir=folder)
    try:
        yield file
    finally:
        os.close(file)
        os.unlink(name)
