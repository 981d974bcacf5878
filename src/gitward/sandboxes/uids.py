"""One unprivileged user id for each slot of a root worker; no two sandboxes on one machine share an id."""

from __future__ import annotations

import contextlib
import copy
import fcntl
import grp
import os
import pwd
import signal
import threading
import time
from pathlib import Path

from gitward.sandboxes.protocol import SandboxError

UID_BASE = 61000  # 60514 to 61183 are used neither by people's accounts nor by systemd
RUN_FOLDER = Path("/run/gitward")
FOLDER = RUN_FOLDER / "uids"  # one lock per id, for all workers of the machine
_TRIED = 180
_END_SECONDS = 5.0


def has_account(uid: int) -> bool:
    """Whether the id is a user's or a group's of this machine."""
    for look_up in (pwd.getpwuid, grp.getgrgid):
        try:
            look_up(uid)
        except KeyError:
            continue
        return True
    return False


class Lease:
    """An id that nobody else on this machine uses, until `release`. No process has it before and after."""

    def __init__(self, uid: int, lock: int) -> None:
        self.uid = uid
        self._lock = _Lock(uid, lock)
        self._released = False

    def share(self) -> Lease:
        """The same id, for whoever comes next: it is free when both are released."""
        self._lock.hold()
        shared = copy.copy(self)
        shared._released = False
        return shared

    def release(self) -> None:
        if not self._released:
            self._released = True
            self._lock.give_up()


class _Lock:
    """The lock file of one id, with the number of those who hold it in this process."""

    def __init__(self, uid: int, descriptor: int) -> None:
        self._holders = 1
        self._counting = threading.Lock()
        self._uid = uid
        self._descriptor = descriptor

    def hold(self) -> None:
        with self._counting:
            self._holders += 1

    def give_up(self) -> None:
        with self._counting:
            self._holders -= 1
            last = self._holders == 0
        if last:
            try:
                end_processes(self._uid)
            finally:
                os.close(self._descriptor)


def lease(*, base: int = UID_BASE, preferred: int | None = None, folder: Path = FOLDER) -> Lease:
    """Takes a free id from `base` on; `preferred`, when it is one of them and free (its files need no new owner)."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    candidates = list(range(base, base + _TRIED))
    if preferred in candidates:
        candidates.insert(0, preferred)
    for uid in candidates:
        if uid == 0 or has_account(uid):
            continue
        lock = os.open(folder / str(uid), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        end_processes(uid)
        return Lease(uid, lock)
    raise SandboxError(
        f"no user id from {base} to {base + _TRIED - 1} is free for a sandbox. "
        "Give the engine a `uid_base` that no account of this machine uses"
    )


def end_processes(uid: int) -> None:
    """Kills every process of a sandbox's user, and waits until there is none. SandboxError after five seconds.

    There is none to kill unless a supervisor was killed at an unlucky moment. So the kernel is asked first: to read
    about every process of the machine costs a thousand times as much.
    """
    deadline = time.monotonic() + _END_SECONDS
    while _has_processes(uid) and (
        found := [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if _belongs(pid, uid)]
    ):
        if time.monotonic() > deadline:
            raise SandboxError(f"processes {found} of user {uid} do not end; check the machine's processes")
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _has_processes(uid: int) -> bool:
    """Whether a process, be it a zombie, has this real user id; getpriority(2) finds none otherwise."""
    try:
        os.getpriority(os.PRIO_USER, uid)
    except ProcessLookupError:
        return False
    return True


def _belongs(pid: int, uid: int) -> bool:
    """Whether a process has this real user id and is not a zombie."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return False
    real = text.partition(b"\nUid:\t")[2].split(maxsplit=1)[0]
    return int(real) == uid and b"\nState:\tZ" not in text
