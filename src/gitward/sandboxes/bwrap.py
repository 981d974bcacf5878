"""Starting bubblewrap from the supervisor, and reading what it says about itself."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
from dataclasses import dataclass
from typing import Any

from gitward.sandboxes.launch import Start

_COULD_NOT_START = 127  # as a shell says it


@dataclass(frozen=True)
class Descriptors:
    """What comes beside a `Start`, in the order in which the worker sends it."""

    stdin: int
    stdout: int
    stderr: int
    options: int  # bubblewrap's options, each ended by NUL
    argv: int  # the command, each string ended by NUL


class Bubblewrap:
    """A bubblewrap process that waits for `let_go` before it starts the command."""

    def __init__(self, process: subprocess.Popen[bytes], *, status: int, go: int) -> None:
        self.pid = process.pid
        self.handle = os.pidfd_open(process.pid)
        self.status = status  # readable when there is something to read; never blocks
        self.status_ended = False
        self._process = process
        self._go = go
        self._text = b""
        self._exit_code: int | None = None

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
        return documents

    def wait(self) -> int:
        """Bubblewrap's own exit code, negative for a signal."""
        return self._process.wait()

    def exit_code(self, own: int) -> int:
        """The command's exit code, given bubblewrap's own: 127 when the command could not be started."""
        if self._exit_code is not None:
            return self._exit_code
        return 128 - own if own < 0 else _COULD_NOT_START


def start_bubblewrap(start: Start, fds: Descriptors) -> Bubblewrap:
    """Executes bubblewrap, by vfork. OSError when that fails. Takes the limits on, and closes `fds`."""
    for name, value in start.rlimits:
        _limit(getattr(resource, f"RLIMIT_{name}"), value)
    with contextlib.ExitStack() as stack:
        for descriptor in (fds.stdin, fds.stdout, fds.stderr, fds.options, fds.argv):
            stack.callback(os.close, descriptor)
        status, told = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        stack.callback(os.close, told)
        go, waiting = _gate()
        stack.callback(os.close, waiting)
        passed: tuple[int, ...] = (fds.options, told, waiting)
        if not start.closes_descriptors:
            passed = (*passed, *_everything_open())
        process = subprocess.Popen(
            _command_line(start, fds, told=told, waiting=waiting),
            stdin=fds.stdin,
            stdout=fds.stdout,
            stderr=fds.stderr,
            pass_fds=passed,
            env={} if start.empties_environment else None,
        )
    return Bubblewrap(process, status=status, go=go)


def _gate() -> tuple[int, int]:
    """A pipe: our end to write, and bubblewrap's to read.

    Bubblewrap takes the end of the pipe for a go. An end that can also write never sees that end, so the
    death of this process lets nothing start.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        return os.open(f"/proc/self/fd/{reader}", os.O_RDWR | os.O_CLOEXEC), os.open(
            f"/proc/self/fd/{reader}", os.O_RDWR | os.O_CLOEXEC
        )
    finally:
        os.close(reader)
        os.close(writer)


def _command_line(start: Start, fds: Descriptors, *, told: int, waiting: int) -> list[bytes]:
    own = [b"--args", b"%d" % fds.options]
    if not start.hides_options:
        own = _strings(fds.options)
    own += [b"--json-status-fd", b"%d" % told, b"--block-fd", b"%d" % waiting]
    return [os.fsencode(start.bwrap), *own, b"--", *_strings(fds.argv)]


def _strings(descriptor: int) -> list[bytes]:
    """The strings of a file, each ended by NUL."""
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0).split(b"\0")[:-1]


def _everything_open() -> tuple[int, ...]:
    """Every descriptor of this process from 3 on."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the listing's own is closed by now
            os.fstat(int(name))
            found.append(int(name))
    return tuple(number for number in found if number > 2)


def _limit(kind: int, value: int) -> None:
    """Sets a resource limit for good; one that is lower already stays."""
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))
