"""One process at a time: the one that has the lock of a file. The kernel frees the lock when that process ends, in any
way.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from gitward.errors import SettingsError


class FileLock:
    """The lock of the file at `path`, which is made when it is not there."""

    def __init__(self, path: Path, taken: str) -> None:
        """:param taken: what is said when another process has it."""
        self._path = path
        self._taken = taken
        self._fd: int | None = None

    def acquire(self) -> None:
        """Blocks for a moment. Whoever has the lock may call it again.

        :raises SettingsError: another process holds the lock.
        """
        if self._fd is not None:
            return
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise SettingsError([self._taken]) from None
        self._fd = fd

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
