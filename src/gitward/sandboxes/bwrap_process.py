"""Starts bubblewrap, reads its status, and says how its first program becomes the command.

Bubblewrap sets the whole sandbox up, with every wall, before the command is known. Then it starts a shell that waits at
a pipe. Told to go on, the shell reads a file that nobody inside has seen yet, changes to the command's folder, and
becomes the command (`script`). So a command waits for neither namespaces nor mounts.

Commands in series (`Command.in_series`) follow one another in one sandbox: a child of the shell becomes each of them.
The shell ends whatever a command left, tells its exit code at a pipe that no command has, and waits again.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import shlex
import signal
from dataclasses import dataclass
from typing import Any, NoReturn

from gitward.grants import channel
from gitward.sandboxes import namespaces, system_calls, workspace_lock
from gitward.sandboxes.protocol import Command
from gitward.sandboxes.supervisor_requests import Build

_COULD_NOT_START = 127  # as a shell says it
NICENESS = 10  # beyond the worker's; brokers have 5: who burns time in a sandbox delays neither
_OOM_SCORE = b"500"  # when the host runs out of memory, a sandbox goes before the worker
_FIRST = 7  # descriptors from here on are bubblewrap's own
_ABOVE_ALL = 64  # a number above those that are placed
# Descriptors of the first program: what the command is, and its standard input; in series, where its exit code is told,
# and its input, which is a file there.
_SCRIPT, _INPUT, _CODES, _DATA = range(3, _FIRST)
_ALONE, _IN_SERIES = b"alone\n", b"series\n"
_WAITS = (
    b"/bin/sh",
    b"-c",
    b"""\
read -r _gitward_how
while [ "$_gitward_how" ]; do
  [ "$_gitward_how" = series ] || . /proc/self/fd/%(script)d
  (. /proc/self/fd/%(script)d)
  _gitward_code=$?
  kill -s KILL -- -1 2>/dev/null
  echo "$_gitward_code" >&%(codes)d
  read -r _gitward_how
done
"""
    % {b"script": _SCRIPT, b"codes": _CODES},
)
_CODE_BYTES = 16  # of one exit code, at most
_OF_THE_SHELL = "OLDPWD SHLVL"  # variables that it adds


@dataclass(frozen=True)
class Descriptors:
    """What comes beside a `PrepareRequest`, in the order in which the worker sends it."""

    stdin: int
    stdout: int
    stderr: int
    options: int  # bubblewrap's options, each ended by NUL
    script: int  # a file that is empty until the worker knows the command
    data: int  # another one, for the input of a command in series


def script(command: Command) -> bytes:
    """What the first program does once it may: it becomes the command, and nothing of it remains.

    Variables and arguments stand in the file alone, so that no process list ever shows a variable.
    """
    variables = {"PWD": command.cwd} | dict(command.env)
    given = f"</proc/self/fd/{_DATA}" if command.in_series else f"<&{_INPUT}"
    lines = [
        f"cd -P -- {shlex.quote(command.cwd)} || exit {_COULD_NOT_START}",
        f"exec {given if command.has_input else '</dev/null'} {_SCRIPT}<&- {_INPUT}<&- {_CODES}>&- {_DATA}<&-",
        f"unset {_OF_THE_SHELL}",
        *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
        f"exec {shlex.join(command.argv)}",
    ]
    return os.fsencode("\n".join(lines) + "\n")


class BwrapProcess:
    """Bubblewrap, started at once, with a first program that waits for `let_go` before it becomes the command, or runs
    one in series.

    It stands in the sandbox's cgroup already, the supervisor does not: memory that no process owns (a full
    tmpfs) has the kernel kill every process of a cgroup.
    """

    def __init__(self, build: Build, fds: Descriptors, *, claim: int, cgroup: int | None, follows: bool) -> None:
        self.status, told = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.codes, ending = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)  # exit codes of commands in series
        self._go = _gate()
        supervisor = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            parent = supervisor if follows else None
            _become_bubblewrap(build, fds, told=told, go=self._go, ending=ending, cgroup=cgroup, parent=parent)
        channel.close_all((fds.stdin, fds.stdout, fds.stderr, fds.options, fds.script, fds.data, told, ending))
        self.handle = os.pidfd_open(self.pid)
        self.status_ended = False
        self.init: int | None = None  # pid of the sandbox's process 1, as seen here; it stands in the claim
        self.init_handle: int | None = None
        self._claim = claim
        self.failure: str | None = None  # why bubblewrap could not be executed
        self._text = b""
        self._exit_code: int | None = None

    def let_go(self, *, in_series: bool) -> None:
        """Lets the command start."""
        os.write(self._go, _IN_SERIES if in_series else _ALONE)

    def read_code(self) -> int | None:
        """The exit code of the command in series that has just ended; None: there is none to believe."""
        text = os.read(self.codes, _CODE_BYTES).strip()
        return int(text) if text.isdigit() else None

    def got_through(self) -> bool:
        """Whether the sandbox was complete: its first program has taken the byte of `let_go`."""
        os.set_blocking(self._go, False)
        try:
            return not os.read(self._go, 1)
        except BlockingIOError:
            return True

    def kill(self) -> None:
        """Ends every process inside: the kernel kills a process namespace with its process 1."""
        for handle in (self.init_handle, self.handle):
            if handle is not None:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)

    def read_status(self) -> None:
        """Takes the JSON documents that have come since the last call."""
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self.status, 4096):
                self._text += piece
            self.status_ended = True
        *lines, self._text = self._text.split(b"\n")
        documents: list[dict[str, Any]] = [json.loads(line) for line in lines if line.strip()]
        for document in documents:
            if "child-pid" in document:
                self._record(int(document["child-pid"]))
            if "exit-code" in document:
                self._exit_code = int(document["exit-code"])
            self.failure = document.get("failed", self.failure)

    def _record(self, init: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.init_handle = os.pidfd_open(init)
        workspace_lock.record(self._claim, init)
        self.init = init

    @property
    def has_told(self) -> bool:
        """Whether bubblewrap said how the command ended."""
        return self._exit_code is not None

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
    """A pipe with both ends in one descriptor, so that the supervisor sees whether its byte was taken."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        return os.open(f"/proc/self/fd/{reader}", os.O_RDWR | os.O_CLOEXEC)
    finally:
        os.close(reader)
        os.close(writer)


def _become_bubblewrap(
    build: Build, fds: Descriptors, *, told: int, go: int, ending: int, cgroup: int | None, parent: int | None
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
        _execute(build, fds, told=told, go=go, ending=ending, calls=calls)
    except (OSError, ValueError) as error:
        os.write(told, json.dumps({"failed": str(error)}).encode() + b"\n")
    finally:
        os._exit(_COULD_NOT_START)


def _execute(build: Build, fds: Descriptors, *, told: int, go: int, ending: int, calls: int) -> NoReturn:
    options, status, filtering = range(_FIRST, _FIRST + 3)
    own = [b"--args", b"%d" % options] if build.hides_options else _strings(fds.options)
    own += [b"--json-status-fd", b"%d" % status]
    own += [b"--seccomp", b"%d" % filtering] if build.filters_calls else []
    line = [os.fsencode(build.bwrap), *own, b"--", *_WAITS]
    for name, value in build.rlimits:
        _limit(getattr(resource, f"RLIMIT_{name}"), value)
    first_program = (go, fds.stdout, fds.stderr, fds.script, fds.stdin, ending, fds.data)
    placed = (*first_program, fds.options, told, calls)
    _place(placed[: None if build.filters_calls else -1], close_others=build.closes_descriptors)
    if build.empties_environment:
        os.execve(build.bwrap, line, {})  # noqa: S606  # a program of ours, without a shell
    os.execv(build.bwrap, line)  # noqa: S606  # the same


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
