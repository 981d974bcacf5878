"""Room on the disk of a SQLite database that nobody else can use, for the ends of runs when the disk is full.

Half of it are blocks that the write-ahead log owns beyond its end (`fallocate`): no process can take them, and SQLite
writes into them as it appends. Checkpoints fail on a full disk, which does no harm: the log goes on growing. The other
half is a file. Gitward gives it up when it has to open a database on a full disk, and where the file system cannot keep
such blocks.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
from pathlib import Path

from gitward.store import disk

log = logging.getLogger(__name__)

_KEEP_SIZE = 1
_LOG_USED = 4 * disk.MiB  # by SQLite in ordinary times, between two checkpoints
_INDEX_BYTES = 256 * 1024  # of the log's index: 32 KiB for 16 MiB of log
_PART = 8  # of a small disk the reserve is this part at most


class Reserve:
    """Everything here blocks, and is called by one thread at a time; `give_up` by any."""

    def __init__(self, database: Path, size: int) -> None:
        """:param size: bytes; 0: there is none."""
        self._log = Path(f"{database}-wal")
        self._index = Path(f"{database}-shm")
        self._file = Path(f"{database}.reserve")
        self._size = size
        self._index_fd: int | None = None

    def open_up(self) -> None:
        """Before the database is opened: makes room for that, should there be none."""
        if disk.is_low(self._file.parent):
            self.give_up()

    def renew(self) -> None:
        """Takes what is missing, the log's blocks first; of a disk that is low only what is left for the log."""
        size = self._half()
        if not size:
            return
        with contextlib.suppress(FileNotFoundError):  # nobody has written yet
            _own(self._log, size + _LOG_USED)
            self._own_index()
        if not self._file_has(size) and disk.free(self._file.parent) > 2 * size and not disk.is_low(self._file.parent):
            self._make_file(size)

    def held(self) -> int:
        """Bytes that are reserved now, whether by this process or another."""
        held = 0
        for path in (self._file, self._log):
            with contextlib.suppress(OSError):
                status = path.stat()
                held += status.st_blocks * 512 - (status.st_size if path == self._log else 0)
        return max(held, 0)

    def give_up(self) -> bool:
        """Gives the file's room to whoever is first; False when there was none."""
        try:
            has_room = self._file.stat().st_blocks > 0
            self._file.unlink()
        except OSError:
            return False
        if has_room:
            log.warning("The disk of the database is full: the reserve %s is given up", self._file.name)
        return has_room

    def close(self) -> None:
        """After the last connection was closed: what the log had goes to the file, as far as it is missing."""
        if self._index_fd is not None:
            os.close(self._index_fd)
            self._index_fd = None
        size = self._half()
        if size and not self._file_has(size):
            self._make_file(size)

    def _half(self) -> int:
        with contextlib.suppress(OSError):
            figures = os.statvfs(self._file.parent)
            return min(self._size, figures.f_blocks * figures.f_frsize // _PART) // 2
        return 0

    def _file_has(self, size: int) -> bool:
        try:
            return self._file.stat().st_blocks * 512 >= size
        except OSError:
            return False

    def _make_file(self, size: int) -> None:
        try:
            file = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError:
            return
        try:
            os.posix_fallocate(file, 0, size)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(file, 0)  # what it got of a nearly full disk is of use to nobody
        finally:
            os.close(file)

    def _own_index(self) -> None:
        """The index stays open here: SQLite's locks lie on it, and closing any descriptor of a file drops them all."""
        status = self._index.stat()
        if self._index_fd is not None and os.fstat(self._index_fd).st_ino != status.st_ino:
            os.close(self._index_fd)
            self._index_fd = None
        if self._index_fd is None:
            self._index_fd = os.open(self._index, os.O_RDWR | os.O_CLOEXEC)
        if status.st_blocks * 512 < _INDEX_BYTES:
            _allocate(self._index_fd, _INDEX_BYTES)


def _own(path: Path, size: int) -> None:
    """The file has so many bytes of the disk afterwards, where there are so many; its length stays."""
    if path.stat().st_blocks * 512 >= size:
        return
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)  # SQLite has no lock on this file that closing it could drop
    try:
        _allocate(file, size)
    finally:
        os.close(file)


def _allocate(file: int, size: int) -> None:
    """Also a part of it is of use. A file system that cannot do it has none."""
    while size >= 64 * 1024 and _LIBC.fallocate(file, _KEEP_SIZE, 0, size) != 0:
        size //= 2


_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
