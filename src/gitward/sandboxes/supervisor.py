"""The supervisor: forked by the launcher for one command, alive until no process of that command is left; or for
several in series, which it serves until the worker ends it.

It gives up every right, creates the namespaces, listens, and starts bubblewrap; waits for its command (one supervisor
of each sandbox is ready beforehand, and so is its bubblewrap); lets the command start when the worker says go; and ends
it when time, a limit or the worker says so. It depends on the worker for none of that, because the worker may hang or
be dead. When the launcher ends, the kernel kills the supervisor, and with it everything inside.

To the worker, on their own channel: `listening` (with its process group, a pidfd of it and the listening sockets), then
`started` (with one of process 1 inside), then `ended` (with `stays` when another command in series may follow); or
`error`; and `alive` once a second while it supervises.
From the worker: a `StartRequest`, `go`, `kill`. A closed channel means `kill`.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
from typing import Any, NoReturn

from gitward.grants import channel
from gitward.sandboxes import namespaces, workspace_lock
from gitward.sandboxes.bwrap_process import BwrapProcess, Descriptors
from gitward.sandboxes.command_watch import CommandWatch, end_children
from gitward.sandboxes.disk_ledger import Entry
from gitward.sandboxes.supervisor_requests import PrepareRequest, StartRequest


def supervise(
    prepare: PrepareRequest, control: socket.socket, claim: int, *, given: Descriptors, launcher: int, entry: Entry
) -> NoReturn:
    """Runs one command, or those of a series, to its end, reports, and exits."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    stage = "claim"
    try:
        workspace_lock.record(claim, os.getpid())
        stage = "cgroup"
        entrance = None if prepare.cgroup is None else os.open(prepare.cgroup, os.O_WRONLY | os.O_CLOEXEC)
        stage = "identity"
        if prepare.uid is not None:
            namespaces.drop_to(prepare.uid)
        if prepare.forgets_keys:
            namespaces.forget_keys()
        os.chdir("/")
        os.umask(0o022)
        stage = "namespaces"
        namespaces.become_subreaper()
        namespaces.own_namespaces(network=prepare.network)
        if prepare.follows:
            namespaces.follow_parent(signal.SIGKILL, launcher)  # one that is stopped would not obey another
        stage = "ports"
        listeners = [namespaces.listen_on_loopback(port) for port in prepare.ports if prepare.network]
        stage = "bubblewrap"
        bubblewrap = BwrapProcess(prepare.build, given, claim=claim, cgroup=entrance, follows=prepare.follows)
        workspace_lock.record(claim, bubblewrap.pid)
        _offer(control, listeners)
        while True:
            start = _await_start(control, bubblewrap)
            stage = "claim"
            if not workspace_lock.is_current(claim, start.lock):
                raise PermissionError("another sandbox has taken the workspace over")
            stage = "command"
            watch = CommandWatch(start, bubblewrap, control=control, entry=entry, follows=prepare.follows)
            report = watch.to_the_end()
            _send(control, report)
            if not report.get("stays"):
                os._exit(0)
            entry = entry.after()
    except OSError as error:
        _send(control, {"error": str(error), "stage": stage})
        os._exit(1)


def _offer(control: socket.socket, listeners: list[socket.socket]) -> None:
    """Sends a pidfd of this process and the listening sockets, and closes them here."""
    with contextlib.ExitStack() as stack:
        handle = os.pidfd_open(os.getpid())
        stack.callback(os.close, handle)
        fds = [handle, *(stack.enter_context(listener).fileno() for listener in listeners)]
        channel.send(control, {"listening": True, "group": os.getpgrp()}, fds)


def _await_start(control: socket.socket, bubblewrap: BwrapProcess) -> StartRequest:
    """Waits for the command; exits when there will be none.

    A bubblewrap that ends meanwhile is left for the supervision to tell of, when there is a command.
    """
    poll = select.poll()
    for descriptor in (control.fileno(), bubblewrap.status):
        poll.register(descriptor, select.POLLIN)
    while control.fileno() not in {descriptor for descriptor, _ in poll.poll()}:
        bubblewrap.read_status()
        if bubblewrap.failure is not None:
            raise ChildProcessError(bubblewrap.failure)
        if bubblewrap.status_ended:
            poll.unregister(bubblewrap.status)
    with contextlib.suppress(channel.ChannelClosed):
        message, _ = channel.receive(control)
        if "kill" not in message:
            return StartRequest.of(message)
    bubblewrap.kill()
    end_children()
    os._exit(0)


def _send(control: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(channel.ChannelClosed):
        channel.send(control, message)
