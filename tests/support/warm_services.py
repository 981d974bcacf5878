"""Services for tests that are not about their start: forked from one process that has loaded everything already.

To load what a service needs takes a second of CPU, and many tests start one of their own. `start` has one forked by
the nursery of this process of pytest (`service_nursery.py`), which begins with the first. From the fork on it is
`python -m gitward ARGUMENT...`: the same `__main__`, in the environment, folder and streams that were given, with
nothing of the nursery open, and it ends as that would. Its brokers' parent is a warm one too (`warm_parents.py`).

What differs is what a start is, so tests that look at it keep the real one: its command line and what /proc tells of
its environment are the nursery's; its parent is the nursery, and it dies with that; its memory is shared with others,
and has more modules; the brokers are not its descendants; modules that it forgets to import are there all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import leftovers
import warm_parents
from gitward.grants import channel
from gitward.grants.channel import ChannelClosed
from gitward.sandboxes import descriptor_waits
from gitward.settings.environment import clean_environment

_PROGRAM = Path(__file__).with_name("service_nursery.py")
# Variables that the interpreter and the libraries below it read once, when a process starts.
_READ_ONCE = re.compile(r"PYTHON\w*|LANG|LANGUAGE|LC_\w+|LD_\w+|MALLOC_\w+|GLIBC_\w+|OPENSSL_\w+")
END_SECONDS = 60.0


class _Nursery:
    """The process, and the warm parents of its services' brokers."""

    def __init__(self) -> None:
        self.environment = clean_environment()
        self._around = contextlib.ExitStack()
        self._around.enter_context(warm_parents.nursery())
        self.brokers_parent = warm_parents.program()
        self.channel, theirs = channel.pair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, str(_PROGRAM)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=self.environment,
                start_new_session=True,  # an interrupt at the terminal is pytest's to handle
            )
        leftovers.parents.add(self.process.pid)

    def stop(self) -> int:
        """Its exit status. Safe to call when it has ended."""
        self.channel.close()
        try:
            return self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()  # and what it forked ends with it
            self.process.wait()
            raise
        finally:
            leftovers.parents.discard(self.process.pid)
            self._around.close()


class _Output(asyncio.StreamReaderProtocol):
    def __init__(self, reader: asyncio.StreamReader, at_end: asyncio.Event) -> None:
        super().__init__(reader)
        self._at_end = at_end

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._at_end.set()


class WarmService:
    """What tests use of `asyncio.subprocess.Process`. It belongs to the running loop."""

    def __init__(self, nursery: _Nursery, *, pid: int, handle: int, ends: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdout = asyncio.StreamReader()
        self._nursery = nursery
        self._is_lost = False
        self._handle = handle
        self._ends = ends
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._is_silent = asyncio.Event()  # its standard output has ended
        self._loop.add_reader(ends, self._take_end)

    async def read(self, pipe: int) -> None:
        """From now on, as its standard output."""
        file = open(pipe, "rb")  # noqa: SIM115 - the transport closes it
        await self._loop.connect_read_pipe(lambda: _Output(self.stdout, self._is_silent), file)

    async def wait(self) -> int:
        """Its exit status, when it has ended. Raises AssertionError when nobody can tell, for the nursery has ended."""
        await self._ended.wait()
        await self._is_silent.wait()
        if self._is_lost:
            raise AssertionError(_loss(self._nursery))
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, sig: int) -> None:
        """Raises ProcessLookupError when it has ended."""
        if self.returncode is not None:
            raise ProcessLookupError
        with contextlib.suppress(ProcessLookupError):  # reaped, and not told yet
            signal.pidfd_send_signal(self._handle, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _take_end(self) -> None:
        try:
            message, _ = channel.receive(self._ends)
            self.returncode = message["status"]
        except ChannelClosed:
            self._is_lost = True
            self.returncode = -signal.SIGKILL  # what it does to them
        self._loop.remove_reader(self._ends)
        self._ends.close()
        os.close(self._handle)
        self._ended.set()


_running: list[_Nursery] = []  # one at most


async def start(
    *arguments: str, environment: Mapping[str, str], folder: Path, stderr: int, module: str = "gitward"
) -> WarmService:
    """One `python -m MODULE ARGUMENT...` in a process of its own. Its standard input is empty.

    Raises AssertionError when it cannot be had.
    """
    nursery = _present()
    _check(environment, nursery.environment)
    umask = os.umask(0)
    os.umask(umask)
    ends, theirs = channel.pair()
    ends.setblocking(False)
    reading, writing = os.pipe()
    request = {
        "module": module,
        "arguments": arguments,
        "environment": dict(environment),
        "folder": str(folder),
        "umask": umask,
        "brokers_parent": nursery.brokers_parent,
    }
    with contextlib.ExitStack() as undo:
        undo.callback(ends.close)
        undo.callback(os.close, reading)
        try:
            with theirs, open(writing, "wb"):
                channel.send(nursery.channel, request, (theirs.fileno(), writing, stderr))
            message, [handle] = await descriptor_waits.receive(ends)
        except ChannelClosed:
            raise AssertionError(_loss(nursery)) from None
        undo.pop_all()
    service = WarmService(nursery, pid=message["pid"], handle=handle, ends=ends)
    await service.read(reading)
    return service


@pytest.fixture(scope="session", autouse=True)
def _nursery_ends() -> Iterator[None]:
    """After the last test."""
    yield
    stop()


def stop() -> None:
    """Ends the nursery, should there be one."""
    while _running:
        status = _running.pop().stop()
        assert status == 0, f"the nursery of warm services ended with exit status {status}"


def _present() -> _Nursery:
    if _running and _running[0].process.poll() is not None:
        _running.pop().stop()
    if not _running:
        with leftovers.stays():
            _running.append(_Nursery())
    return _running[0]


def _check(wanted: Mapping[str, str], there: Mapping[str, str]) -> None:
    for name in sorted({*wanted, *there}):
        if _READ_ONCE.fullmatch(name) and wanted.get(name) != there.get(name):
            raise AssertionError(f"{name} is read when Python starts: only a real start can have another one")


def _loss(nursery: _Nursery) -> str:
    status = nursery.process.wait(END_SECONDS)
    return f"the nursery of warm services ended (exit status {status}), and every service of it"
