"""Starts bubblewrap, and reads its status."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import signal
import socket
from dataclasses import dataclass
from typing import Any, NoReturn

from gitward.grants import channel
from gitward.sandboxes import namespaces, system_calls
from gitward.sandboxes.supervisor_requests import StartRequest

_COULD_NOT_START = 127  # as a shell says it
NICENESS = 10  # beyond the worker's; brokers have 5: who burns time in a sandbox delays neither
_OOM_SCORE = b"500"  # when the host runs out of memory, a sandbox goes before the worker
_FIRST = 3  # descriptors from here on are bubblewrap's own
_ABOVE_ALL = 64  # a number above those that are placed


@dataclass(frozen=True)
class Descriptors:
    """What comes beside a `StartRequest`, in the order in which the worker sends it."""

    stdin: int
    stdout: int
    stderr: int
    options: int  # bubblewrap's options, each ended by NUL
    argv: int  # the command, each string ended by NUL


class BwrapProcess:
    """A process that waits for `start` before it becomes bubblewrap, and for `let_go` before it starts the command.

    It stands in the sandbox's cgroup already, the supervisor does not: memory that no process owns (a full
    tmpfs) has the kernel kill every process of a cgroup.
    """

    def __init__(self, *, cgroup: int | None, follows: bool) -> None:
        self._orders, orders = channel.pair()
        self.status, told = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._go = _gate()
        supervisor = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            self._orders.close()
            _become_bubblewrap(orders, told=told, go=self._go, cgroup=cgroup, parent=supervisor if follows else None)
        orders.close()
        os.close(told)
        self.handle = os.pidfd_open(self.pid)
        self.status_ended = False
        self.failure: str | None = None  # why bubblewrap could not be executed
        self._text = b""
        self._exit_code: int | None = None

    def start(self, start: StartRequest, fds: Descriptors) -> None:
        """Has the process become bubblewrap; closes `fds`."""
        given = (fds.stdin, fds.stdout, fds.stderr, fds.options, fds.argv)
        channel.send(self._orders, start.message(), given)
        channel.close_all(given)
        self._orders.close()

    def let_go(self) -> None:
        """Lets the command start."""
        os.write(self._go, b"g")

    def got_through(self) -> bool:
        """Whether the sandbox was complete: bubblewrap has taken the byte of `let_go`, its last act of setting up."""
        if self._exit_code is not None:
            return True
        os.set_blocking(self._go, False)
        try:
            return not os.read(self._go, 1)
        except BlockingIOError:
            return True

    def read_status(self) -> list[dict[str, Any]]:
        """The JSON documents that have come since the last call."""
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self.status, 4096):
                self._text += piece
            self.status_ended = True
        *lines, self._text = self._text.split(b"\n")
        documents: list[dict[str, Any]] = [json.loads(line) for line in lines if line.strip()]
        for document in documents:
            if "exit-code" in document:
                self._exit_code = int(document["exit-code"])
            self.failure = document.get("failed", self.failure)
        return documents

    def wait(self) -> int:
        """Bubblewrap's own exit code, negative for a signal."""
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def exit_code(self, own: int) -> int:
        """The command's exit code, given bubblewrap's own: 127 when the command could not be started."""
        if self._exit_code is not None:
            return self._exit_code
        return 128 - own if own < 0 else _COULD_NOT_START


def _gate() -> int:
    """A pipe with both ends in one descriptor.

    Bubblewrap takes the end of `--block-fd` for a go. An end that can also write never sees that end, so the
    death of the supervisor lets nothing start.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        return os.open(f"/proc/self/fd/{reader}", os.O_RDWR | os.O_CLOEXEC)
    finally:
        os.close(reader)
        os.close(writer)


def _become_bubblewrap(
    orders: socket.socket, *, told: int, go: int, cgroup: int | None, parent: int | None
) -> NoReturn:
    """The forked half: never returns."""
    told = fcntl.fcntl(told, fcntl.F_DUPFD_CLOEXEC, _ABOVE_ALL)  # where `_place` does not write over it
    try:
        signal.set_wakeup_fd(-1)
        if parent is not None:
            namespaces.follow_parent(signal.SIGKILL, parent)
        if cgroup is not None:
            os.write(cgroup, b"0")
        _prefer_for_oom()
        os.nice(NICENESS)
        calls = fcntl.fcntl(system_calls.as_file(), fcntl.F_DUPFD_CLOEXEC, _ABOVE_ALL)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)  # Python ignores the first two, and that is inherited
        message, received = channel.receive(orders)
        _execute(StartRequest.of(message), Descriptors(*received), told=told, go=go, calls=calls)
    except channel.ChannelClosed:
        pass
    except (OSError, ValueError) as error:
        os.write(told, json.dumps({"failed": str(error)}).encode() + b"\n")
    finally:
        os._exit(_COULD_NOT_START)


def _execute(start: StartRequest, fds: Descriptors, *, told: int, go: int, calls: int) -> NoReturn:
    options, status, block, filtering = range(_FIRST, _FIRST + 4)
    own = [b"--args", b"%d" % options] if start.hides_options else _strings(fds.options)
    own += [b"--json-status-fd", b"%d" % status, b"--block-fd", b"%d" % block]
    own += [b"--seccomp", b"%d" % filtering] if start.filters_calls else []
    line = [os.fsencode(start.bwrap), *own, b"--", *_strings(fds.argv)]
    for name, value in start.rlimits:
        _limit(getattr(resource, f"RLIMIT_{name}"), value)
    placed = (fds.stdin, fds.stdout, fds.stderr, fds.options, told, go, calls)
    _place(placed[: None if start.filters_calls else -1], close_others=start.closes_descriptors)
    if start.empties_environment:
        os.execve(start.bwrap, line, {})  # noqa: S606  # a program of ours, without a shell
    os.execv(start.bwrap, line)  # noqa: S606  # the same


def _place(sources: tuple[int, ...], *, close_others: bool) -> None:
    """Makes `sources` the descriptors 0, 1, 2, …; every other one is closed by the execution that follows."""
    lifted = [fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, _ABOVE_ALL) for source in sources]
    for number, source in enumerate(lifted):
        os.dup2(source, number)
    for name in os.listdir("/proc/self/fd"):
        if int(name) >= len(sources):
            with contextlib.suppress(OSError):  # the listing's own is closed by now
                os.set_inheritable(int(name), not close_others)


def _strings(descriptor: int) -> list[bytes]:
    """The strings of a file, each ended by NUL."""
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0).split(b"\0")[:-1]


def _limit(kind: int, value: int) -> None:
    """Sets a resource limit for good; one that is lower already stays."""
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _prefer_for_oom() -> None:
    descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, _OOM_SCORE)
    finally:
        os.close(descriptor)
