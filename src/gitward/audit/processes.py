"""Processes as /proc shows them: arguments, environment, open files and memory, of each one inside and outside."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from gitward.audit.channels import Channel
from gitward.audit.ledger import Ledger
from gitward.broker.wire.names import BROKER_NAME

PAUSE_SECONDS = 0.005  # between two looks at all processes
YOUNG_SECONDS = 2.0  # a process that is older has become what it is; it is looked at …
SELDOM = 50  # … in one look of so many
_NAMESPACES = re.compile(r"^NSpid:((?:\s+\d+)+)$", re.MULTILINE)
_WRITABLE = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) rw-p \S+ \S+ (\S+)[ ]*(.*)$", re.MULTILINE)
_LARGEST_PIECE = 16 * 1024 * 1024  # bytes of memory that are read at once


@dataclass(frozen=True, kw_only=True)
class Exempt:
    """A process that has the variable because the operator gave it to it."""

    pid: int
    name: str
    why: str


@dataclass(kw_only=True)
class _Known:
    inside: bool
    since: float  # when it was first seen, on the clock of `time.monotonic`
    cmdline: bytes = b""
    variables: bytes = b""


class Sampler:
    """Looks at every process again and again, in a thread, from `start` to `stop`."""

    def __init__(self, ledger: Ledger, service: int, *, shared: bool) -> None:
        """`shared`: the operator has exported the token in his own shell too, not to the service alone."""
        self._ledger = ledger
        self._service = service
        self._shared = shared
        self._older = set(_pids()) if shared else set[int]()
        self._known: dict[int, _Known] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit of processes", daemon=True)
        self.samples = 0
        self.seen = 0  # different processes
        self.exempt: dict[int, Exempt] = {}

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        pause = PAUSE_SECONDS
        while not self._stopping.wait(pause):
            began = time.thread_time()
            self._sample()
            pause = max(PAUSE_SECONDS, time.thread_time() - began)  # half of a core is enough, however many there are

    def _sample(self) -> None:
        present, now = set(_pids()), time.monotonic()
        for gone in self._known.keys() - present:
            del self._known[gone]
        for pid in present:
            known = self._known.get(pid)
            if known is None or now - known.since < YOUNG_SECONDS or self.samples % SELDOM == 0:
                self._look_at(pid, now)
        self.samples += 1

    def _look_at(self, pid: int, now: float) -> None:
        known = self._known.get(pid)
        if known is None:
            inside = is_inside(pid)
            if inside is None:
                return
            self.seen += 1
            known = self._known[pid] = _Known(inside=inside, since=now)
        cmdline, variables = _read(f"/proc/{pid}/cmdline"), _read(f"/proc/{pid}/environ")
        if cmdline and cmdline != known.cmdline:
            known.cmdline = cmdline
            channel = Channel.ARGUMENTS_INSIDE if known.inside else Channel.ARGUMENTS_OUTSIDE
            self._ledger.search(channel, named(pid), cmdline.replace(b"\0", b"\n"))
        if variables and variables != known.variables:
            known.variables = variables
            self._environment(pid, known)

    def _environment(self, pid: int, known: _Known) -> None:
        if known.inside:
            self._ledger.search(Channel.ENVIRONMENTS_INSIDE, named(pid), known.variables)
        elif (why := self._exempt(pid)) is None:
            self._ledger.search(Channel.ENVIRONMENTS_OUTSIDE, named(pid), known.variables)
        else:
            self.exempt.setdefault(pid, Exempt(pid=pid, name=_name(pid), why=why))

    def _exempt(self, pid: int) -> str | None:
        if pid == self._service:
            return "the service, to which the operator gave the variable"
        if not self._shared:
            return None
        if pid == os.getpid():
            return "this audit"
        if pid in self._older and self._service not in ancestors(pid):
            return "not of the service, and older than this audit: the operator's shell and what it started"
        return None


def is_inside(pid: int) -> bool | None:
    """Whether the process is in another process namespace than ours; None when it is gone."""
    found = _NAMESPACES.search(_read(f"/proc/{pid}/status").decode("utf-8", "replace"))
    own = _NAMESPACES.search(_read("/proc/self/status").decode())
    if found is None or own is None:
        return None
    return len(found[1].split()) > len(own[1].split())


def ancestors(pid: int) -> Iterator[int]:
    while pid > 1:
        fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
        if len(fields) < 2:
            return
        pid = int(fields[1])
        yield pid


def of_service(service: int) -> list[int]:
    """The service's children and theirs, among them the brokers and their parent."""
    return [pid for pid in _pids() if service in ancestors(pid)]


def is_broker(pid: int) -> bool:
    """Whether it holds a token as it must: the broker of one run. The parent of the brokers holds none."""
    return _name(pid) == BROKER_NAME


def open_files(pid: int) -> Iterator[tuple[str, bytes]]:
    """What stands in the regular files that a process holds open, also in those without a name any more."""
    for name in _listed(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{name}"
        with contextlib.suppress(OSError):
            if stat.S_ISREG(os.stat(path).st_mode):
                yield os.readlink(path), _read(path, limit=_LARGEST_PIECE)


def memory(pid: int) -> Iterator[tuple[str, bytes]]:
    """The memory that the process has written itself, in pieces that overlap a little."""
    maps = _read(f"/proc/{pid}/maps").decode("utf-8", "replace")
    try:
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
            for begin, end, _, name in _WRITABLE.findall(maps):
                yield from _region(file.fileno(), int(begin, 16), int(end, 16), name)
    except OSError:
        return  # it has ended, or may not be looked at


def _region(descriptor: int, begin: int, end: int, name: str) -> Iterator[tuple[str, bytes]]:
    position = begin
    while position < end:
        try:
            piece = os.pread(descriptor, min(_LARGEST_PIECE, end - position), position)
        except (OSError, OverflowError):
            return
        if not piece:
            return
        yield name or "anonymous", piece
        if position + len(piece) >= end:
            return
        position += max(1, len(piece) - 4096)


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def named(pid: int) -> str:
    return f"process {pid} ({_name(pid)})"


def _name(pid: int) -> str:
    return _read(f"/proc/{pid}/comm").decode("utf-8", "replace").strip()


def _read(path: str, *, limit: int = 4 * 1024 * 1024) -> bytes:
    """At most `limit` bytes; nothing when the process has ended, or belongs to nobody that we may look at."""
    try:
        with open(path, "rb", buffering=0) as file:
            pieces = []
            while limit > 0 and (piece := file.read(min(65536, limit))):
                pieces.append(piece)
                limit -= len(piece)
            return b"".join(pieces)
    except OSError:
        return b""
