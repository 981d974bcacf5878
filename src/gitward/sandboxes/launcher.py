"""The launcher: a small process of one thread, started early with an empty environment, that forks supervisors.

Run as `python -I -m gitward.sandboxes.launcher FD`, with its end of a channel to the worker as FD. It ends when the
channel closes, and every sandbox with it.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import traceback
from typing import Any, NoReturn

from gitward.grants import channel
from gitward.sandboxes.launch import Prepare
from gitward.sandboxes.supervisor import supervise


def main(worker: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps; a supervisor reports for itself
    gc.disable()
    gc.freeze()
    while True:
        try:
            message, fds = channel.receive(worker)
        except channel.ChannelClosed:
            return
        try:
            _fork(worker, message, fds)
        finally:
            channel.close_all(fds)


def _fork(worker: socket.socket, message: dict[str, Any], fds: list[int]) -> None:
    """Forks a supervisor. When that fails, the worker sees the supervisor's channel close."""
    launcher = os.getpid()
    try:
        if os.fork() != 0:
            return
    except OSError as error:
        print(f"gitward launcher: {error}", file=sys.stderr)
        return
    _child(worker, launcher, message, fds)


def _child(worker: socket.socket, launcher: int, message: dict[str, Any], fds: list[int]) -> NoReturn:
    """The forked half never returns to the launcher's loop, whatever happens."""
    try:
        worker.close()
        control, claim = fds
        supervise(Prepare.of(message), socket.socket(fileno=control), claim, launcher=launcher)
    except BaseException:  # noqa: BLE001  # the edge of a process: report, then end
        traceback.print_exc()
    finally:
        os._exit(1)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
