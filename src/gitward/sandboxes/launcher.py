"""The launcher: a small process of one thread, started early with an empty environment, that forks supervisors.

Run as `python -I -m gitward.sandboxes.launcher FD`, with its end of a channel to the worker as FD. It ends when the
channel closes, and every sandbox with it. It also ends when the worker's lease ends, because the worker may hang or be
cut off without a word.
"""

from __future__ import annotations

import gc
import math
import os
import select
import signal
import socket
import sys
import traceback
from typing import Any, NoReturn

from gitward.grants import channel
from gitward.grants.lease import Lease
from gitward.sandboxes import system_calls
from gitward.sandboxes.bwrap_process import Descriptors
from gitward.sandboxes.disk_ledger import DiskLedger, Entry
from gitward.sandboxes.supervisor import supervise
from gitward.sandboxes.supervisor_requests import PrepareRequest

_LOOK_SECONDS = 1.0  # a machine that was suspended has more time behind it than the wait tells


def main(worker: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps; a supervisor reports for itself
    if os.uname().machine in system_calls.MACHINES:
        system_calls.program(os.uname().machine)  # what every child needs is made once
    gc.disable()
    gc.freeze()
    lease, ledger = Lease(), DiskLedger()
    while _readable(worker, lease):
        try:
            message, fds = channel.receive(worker)
        except channel.ChannelClosed:
            return
        try:
            if "until" in message:
                lease = Lease(message["until"])
            elif "ask" in message:
                channel.send(worker, {"answer": message["ask"]})
            else:
                _fork(worker, message, fds, ledger.next_entry())
        except channel.ChannelClosed:
            return
        finally:
            channel.close_all(fds)


def _readable(worker: socket.socket, lease: Lease) -> bool:
    """Waits for the worker's next message. False when its lease is over."""
    while lease.held:
        if select.select([worker], [], [], None if math.isinf(lease.left) else min(lease.left, _LOOK_SECONDS))[0]:
            return lease.held
    return False


def _fork(worker: socket.socket, message: dict[str, Any], fds: list[int], entry: Entry) -> None:
    """Forks a supervisor. When that fails, the worker sees the supervisor's channel close."""
    launcher = os.getpid()
    try:
        if os.fork() != 0:
            return
    except OSError as error:
        print(f"gitward launcher: {error}", file=sys.stderr)
        return
    _child(worker, launcher, message, fds, entry)


def _child(worker: socket.socket, launcher: int, message: dict[str, Any], fds: list[int], entry: Entry) -> NoReturn:
    """The forked half never returns to the launcher's loop, whatever happens."""
    try:
        worker.close()
        control, claim, *given = fds
        supervise(
            PrepareRequest.of(message),
            socket.socket(fileno=control),
            claim,
            given=Descriptors(*given),
            launcher=launcher,
            entry=entry,
        )
    except BaseException:  # noqa: BLE001  # the edge of a process: report, then end
        traceback.print_exc()
    finally:
        os._exit(1)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
