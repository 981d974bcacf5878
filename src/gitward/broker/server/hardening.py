"""The rights that the brokers' parent gives up, and every broker with it, before any broker gets a token."""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

log = logging.getLogger(__name__)

UNPRIVILEGED_ID = 60999  # uid and gid; above what distributions give to users, below systemd's dynamic ones
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_MAX_DESCRIPTORS = 65536
_MAX_DATA = 512 * 1024 * 1024  # bytes of private memory, whether or not there is a cgroup
_NICENESS = 5  # beyond the service's; commands in sandboxes have more
_PR_SET_NAME = 15
_M_ARENA_MAX = -8  # of mallopt(3)


def harden() -> None:
    """No core dump, no tracing, no way to more rights, and no root when the code is readable without it.

    Call it after all imports: what is imported after it must be readable to UNPRIVILEGED_ID.
    """
    os.chdir("/")
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MAX_DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    resource.setrlimit(resource.RLIMIT_DATA, (_MAX_DATA, _MAX_DATA))
    os.nice(_NICENESS)
    ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)  # threads only look names up: no pool of memory for each of them
    if os.geteuid() == 0:
        _drop_root()
    # After the change of uid, which resets it.
    _prctl(_PR_SET_DUMPABLE, 0)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _drop_root() -> None:
    unreadable = first_unreadable(_needed())
    if unreadable is not None:
        log.warning("the broker stays root: other users cannot read %s", unreadable)
        return
    os.setgroups([])
    os.setresgid(UNPRIVILEGED_ID, UNPRIVILEGED_ID, UNPRIVILEGED_ID)
    os.setresuid(UNPRIVILEGED_ID, UNPRIVILEGED_ID, UNPRIVILEGED_ID)


def _needed() -> set[Path]:
    """The interpreter, and one file of each top-level package that is loaded."""
    needed = {Path(sys.executable).resolve()}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and "." not in name:
            needed.add(Path(file).resolve())
    return needed


def first_unreadable(paths: Iterable[Path]) -> Path | None:
    """The first path that a user without any right of its own cannot read, or cannot get to."""
    seen: set[Path] = set()
    for path in paths:
        if not path.stat().st_mode & stat.S_IROTH:
            return path
        for parent in path.parents:
            if parent in seen:
                break
            if not parent.stat().st_mode & stat.S_IXOTH:
                return path
            seen.add(parent)
    return None


def name_process(name: str) -> None:
    """What `ps -o comm` and /proc/PID/comm show: at most 15 characters."""
    _prctl(_PR_SET_NAME, name.encode())


def _prctl(option: int, value: int | bytes) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
