"""The supervisor: forked by the launcher for one command, alive until no process of that command is left.

It gives up every right, makes the namespaces and listens; waits for its command (one supervisor of each
sandbox is ready beforehand); starts bubblewrap, holds the command back until the worker says go; and ends it when
time, a limit, the worker, or the launcher says so. For none of that does it depend on the worker, which may be
stopped or dead.

To the worker, on their own channel: `listening` (with a pidfd of the supervisor and the listening sockets), then
`ended`; or `error`. From the worker: a `Start`, `go`, `kill`. A closed channel means `kill`.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
from typing import Any, NoReturn

from gitward.grants import channel
from gitward.sandboxes import claims, namespaces
from gitward.sandboxes.bwrap import Descriptors, start_bubblewrap
from gitward.sandboxes.launch import Prepare, Start
from gitward.sandboxes.supervision import Supervision

_OOM_SCORE = b"500"  # when the host runs out of memory, a sandbox goes before the worker


def supervise(prepare: Prepare, control: socket.socket, claim: int, *, launcher: int) -> NoReturn:
    """Runs one command to its end, reports, and exits."""
    wakeup = _catch_signals()
    os.setsid()
    stage = "claim"
    try:
        claims.record(claim, os.getpid())
        stage = "cgroup"
        if prepare.cgroup is not None:
            _write(prepare.cgroup, b"0")
        stage = "identity"
        if prepare.uid is not None:
            namespaces.drop_to(prepare.uid)
        _write("/proc/self/oom_score_adj", _OOM_SCORE)
        os.chdir("/")
        os.umask(0o022)
        stage = "namespaces"
        namespaces.become_subreaper()
        namespaces.own_namespaces(network=prepare.network)
        if prepare.follows:
            namespaces.follow_parent(signal.SIGTERM, launcher)
        stage = "ports"
        _offer_listeners(control, prepare.ports if prepare.network else ())
        stage = "setup"
        start, fds = _await_start(control, wakeup)
        stage = "claim"
        if not claims.is_current(claim, start.claim):
            raise PermissionError("another sandbox has taken the workspace over")
        stage = "bubblewrap"
        bubblewrap = start_bubblewrap(start, fds)
    except OSError as error:
        _tell(control, {"error": str(error), "stage": stage})
        os._exit(1)
    claims.record(claim, bubblewrap.pid)
    supervision = Supervision(start, bubblewrap, control=control, wakeup=wakeup, claim=claim, follows=prepare.follows)
    _tell(control, supervision.to_the_end())
    os._exit(0)


def _catch_signals() -> int:
    """Turns SIGTERM (the launcher has ended) into a readable descriptor."""
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(writer)
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    return reader


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def _offer_listeners(control: socket.socket, ports: tuple[int, ...]) -> None:
    """Sends a pidfd of this process and one listening socket for each port."""
    with contextlib.ExitStack() as stack:
        handle = os.pidfd_open(os.getpid())
        stack.callback(os.close, handle)
        listeners = [stack.enter_context(namespaces.listen_on_loopback(port)) for port in ports]
        channel.send(control, {"listening": ports}, [handle, *(listener.fileno() for listener in listeners)])


def _await_start(control: socket.socket, wakeup: int) -> tuple[Start, Descriptors]:
    """Waits for the command; exits when there will be none."""
    poll = select.poll()
    poll.register(wakeup, select.POLLIN)
    poll.register(control, select.POLLIN)
    ready = {descriptor for descriptor, _ in poll.poll()}
    if wakeup in ready:
        os._exit(0)
    try:
        message, fds = channel.receive(control)
    except channel.ChannelClosed:
        os._exit(0)
    if "kill" in message:
        os._exit(0)
    return Start.of(message), Descriptors(*fds)


def _tell(control: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(channel.ChannelClosed):
        channel.send(control, message)
