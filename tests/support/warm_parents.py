"""Brokers' parents for tests that are not about them: forked from one process that has loaded everything already.

A parent takes a quarter of a second to load what a broker needs, and hundreds of tests start one. `program()` is the
command line of a process that has one forked instead: by the nursery, which runs as `python -I warm_parents.py SOCKET`
for one process of pytest. What a parent does from `main` on is the same.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from gitward.broker.client.parent import PROGRAM

_WAITS = Path(__file__).with_name("warm_parent_stand_in.py")
_running: list[str] = []  # sockets of nurseries, the last is the one to use


def program() -> tuple[str, ...]:
    """What starts a parent: a warm one while there is a nursery."""
    return (sys.executable, "-I", "-S", str(_WAITS), _running[-1]) if _running else PROGRAM


@contextlib.contextmanager
def nursery() -> Iterator[None]:
    """In this block `program` is a warm parent's."""
    with tempfile.TemporaryDirectory(prefix="gitward-nursery-") as folder:
        path = os.path.join(folder, "socket")
        with subprocess.Popen(
            [sys.executable, "-I", __file__, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={}
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            _running.append(path)
            try:
                yield
            finally:
                _running.remove(path)
                process.stdin.close()  # which ends it
                assert process.wait(60) == 0


def main(path: str) -> None:
    """The nursery: forks a parent for each connection, until its standard input ends."""
    from gitward.broker.server import parent

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen(64)
        os.write(1, b"ready\n")
        while listener.fileno() in select.select([listener.fileno(), 0], [], [])[0]:
            connection, _ = listener.accept()
            with connection:
                _, given, _, _ = socket.recv_fds(connection, 1, 2)
                pid = os.fork()
                if pid == 0:
                    _become_parent(given, parent.main)
                handle = os.pidfd_open(pid)
                socket.send_fds(connection, [b"p"], [handle])
                for each in (*given, handle):
                    os.close(each)
            _reap()


def _become_parent(given: list[int], run: Callable[[], int]) -> NoReturn:
    """As the worker starts one: a session of its own, its channel as standard input, and no other descriptor."""
    status = 1
    try:
        os.setsid()
        os.dup2(given[0], 0)
        os.dup2(given[1], 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        status = run()
    finally:
        os._exit(status)


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


if __name__ == "__main__":
    main(sys.argv[1])
