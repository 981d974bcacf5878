"""Who may run commands on a workspace: the sandbox whose claim is the file that lies there.

A command's supervisor first writes its identity into the claim that it was started under, and then looks whether that
file is still the workspace's claim; if not, it runs nothing. A sandbox that takes the workspace over first puts a new
file in place, and then ends every process recorded in the old one. So, in any order, no process of an earlier sandbox
is left, not even of a worker that was stopped and continues later.

A record is a line "<pid> <start time>": the start time, in clock ticks since boot, distinguishes a process from a later
one with the same number.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from gitward.grants.file_locks import lock_until
from gitward.grants.processes import start_time

CLAIM = "claim"
_LOCK = "claim.lock"  # held while a claim changes hands, never longer
_END_SECONDS = 5.0


class StillAlive(TimeoutError):
    """A process of an earlier sandbox could not be ended."""


def record(lock: int, pid: int) -> None:
    """Writes a process into a claim (opened for appending)."""
    if started := start_time(pid):
        os.write(lock, f"{pid} {started}\n".encode())


def is_current(lock: int, path: str) -> bool:
    """Whether the open claim is still the one that lies at `path`."""
    try:
        there, here = os.stat(path, follow_symlinks=False), os.fstat(lock)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def acquire(workspace: Path) -> int:
    """Claims a workspace and ends every process of earlier sandboxes on it. Blocks for some seconds at most.

    Returns the new claim, open for appending. StillAlive when a process does not end.
    """
    with _locked(workspace):
        path = workspace / CLAIM
        temporary = workspace / f"{CLAIM}.{os.urandom(8).hex()}"
        lock = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            with contextlib.ExitStack() as stack:
                old = None
                with contextlib.suppress(FileNotFoundError):
                    old = stack.enter_context(path.open("rb"))
                os.rename(temporary, path)
                if old is not None:
                    _end_all(old.read())
        except BaseException:
            os.close(lock)
            temporary.unlink(missing_ok=True)
            raise
        return lock


def end_recorded(lock: int) -> None:
    """Ends whoever is recorded in a claim and still lives. StillAlive when a process does not end."""
    _end_all(os.pread(lock, os.fstat(lock).st_size, 0))


def release(workspace: Path, lock: int) -> None:
    """Removes a claim, if it is still the workspace's, and closes it."""
    try:
        with _locked(workspace):
            if is_current(lock, str(workspace / CLAIM)):
                (workspace / CLAIM).unlink()
    finally:
        os.close(lock)


@contextlib.contextmanager
def _locked(workspace: Path) -> Iterator[None]:
    lock = os.open(workspace / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not lock_until(lock, time.monotonic() + 2 * _END_SECONDS, pause=0.01):
            raise StillAlive("another process holds the workspace's lock")
        yield
    finally:
        os.close(lock)


def _end_all(records: bytes) -> None:
    """Kills the recorded processes that still live, and waits until they are gone."""
    with contextlib.ExitStack() as stack:
        handles: list[int] = []
        for line in records.decode("ascii", "replace").splitlines():
            pid, _, started = line.partition(" ")
            if pid.isdecimal() and (handle := _handle(int(pid), started)) is not None:
                stack.callback(os.close, handle)
                handles.append(handle)
        for handle in handles:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        _wait_for(handles)


def _handle(pid: int, started: str) -> int | None:
    """A pidfd of the process with this number and start time."""
    try:
        handle = os.pidfd_open(pid)
    except (OSError, OverflowError):  # gone, or a number that no process has
        return None
    if start_time(pid) != started:
        os.close(handle)
        return None
    return handle


def _wait_for(handles: list[int]) -> None:
    deadline = time.monotonic() + _END_SECONDS
    poll = select.poll()
    for handle in handles:
        poll.register(handle, select.POLLIN)
    living = set(handles)
    while living:
        ready = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
        if not ready:
            raise StillAlive(f"{len(living)} processes of an earlier sandbox do not end")
        for handle, _ in ready:
            poll.unregister(handle)
            living.discard(handle)
