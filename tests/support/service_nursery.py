"""The nursery of `warm_services`: a process that has loaded what a service needs, and forks one for each request.

Run as `python service_nursery.py`, with its channel to the tests as standard input. It ends when that closes, and what
it forked with it. It has no event loop, no thread and no logging that a service could inherit.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import importlib
import os
import runpy
import select
import signal
import socket
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from io import TextIOWrapper
from typing import TextIO

from gitward.broker import Brokers
from gitward.cli import child_processes
from gitward.grants import channel
from gitward.grants.channel import ChannelClosed, Message

# What `gitward serve` and `gitward worker` have loaded when they are ready and have done a session, on either database:
# some of it is imported where it is needed.
LOADED = (
    *("gitward.cli.main", "gitward.cli.serve", "gitward.cli.worker", "gitward.cli.wiring"),
    *("gitward.settings.loading", "gitward.settings.token_reader", "gitward.telemetry.logs"),
    *("gitward.store.migrate", "gitward.store.relay", "gitward.workers.membership"),
    *("alembic.command", "alembic.context", "alembic.op", "mako.ext.pygmentplugin", "sqlalchemy.ext.compiler"),
    *("psycopg", "psycopg.types.json", "httpcore2", "_strptime", "encodings.idna"),
    *("typer._adapters", "typer._click.decorators"),
    *("uvicorn.protocols.http.auto", "uvicorn.protocols.websockets.auto", "uvicorn.lifespan.off"),
    *("anyio._backends._asyncio", "anyio._core._sockets", "anyio.streams.stapled", "anyio.streams.tls"),
    *("cryptography.hazmat.backends.openssl.backend", "encodings.utf_8_sig", "stringprep"),
)
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a service is to be."""

    module: str
    arguments: list[str]
    environment: dict[str, str]
    folder: str
    umask: int
    brokers_parent: list[str]  # the command line of what starts one

    @classmethod
    def of(cls, message: Message) -> Request:
        return cls(**message)


class Nursery:
    """Forks, and tells how each child ended."""

    def __init__(self, tests: socket.socket) -> None:
        self._tests = tests
        self._children: dict[int, tuple[int, socket.socket]] = {}  # by descriptors of theirs: number, who waits
        self._poll = select.poll()
        self._poll.register(tests, select.POLLIN)

    def run(self) -> Request | None:
        """Returns in each child, with its request; in the nursery when the tests have ended."""
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor in self._children:
                    self._tell_end(descriptor)
                    continue
                try:
                    message, fds = channel.receive(self._tests)
                except ChannelClosed:
                    return None
                if self._fork(fds):
                    return Request.of(message)

    def _fork(self, fds: list[int]) -> bool:
        """Whether this is the child."""
        who_waits, *streams = fds
        nursery = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.close(who_waits)
            self._leave(nursery, *streams)
            return True
        handle = os.pidfd_open(pid)
        self._children[handle] = pid, socket.socket(fileno=who_waits)
        self._poll.register(handle, select.POLLIN)
        self._tell(handle, {"pid": pid}, [handle])
        channel.close_all(streams)
        return False

    def _leave(self, nursery: int, out: int, err: int) -> None:
        """Nothing of the nursery is the child's. It ends with it, however that ends."""
        for held in (self._tests, *(who_waits for _, who_waits in self._children.values())):
            held.detach()  # or what is open under its number later would be closed with it
        for given, standard in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (err, 2)):
            os.dup2(given, standard)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != nursery:
            os._exit(1)

    def _tell_end(self, handle: int) -> None:
        pid, who_waits = self._children[handle]
        _, status = os.waitpid(pid, 0)
        self._tell(handle, {"status": os.waitstatus_to_exitcode(status)}, [])
        self._poll.unregister(handle)
        del self._children[handle]
        os.close(handle)
        who_waits.close()

    def _tell(self, handle: int, message: Message, fds: list[int]) -> None:
        with contextlib.suppress(ChannelClosed):  # nobody waits any more: that test has failed already
            channel.send(self._children[handle][1], message, fds)


def main() -> None:
    gc.disable()
    for name in LOADED:
        importlib.import_module(name)
    assert threading.active_count() == 1, threading.enumerate()
    gc.collect()
    gc.freeze()  # what is alive now is every service's: no collection shall touch its pages
    request = Nursery(socket.socket(fileno=0)).run()
    if request is not None:
        gc.enable()
        become(request)


def become(request: Request) -> None:
    """From here on as `python -m MODULE` in this environment; how it ends is the interpreter's to tell."""
    os.environ.clear()
    os.environ.update(request.environment)
    time.tzset()
    tempfile.tempdir = None
    os.umask(request.umask)
    os.chdir(request.folder)
    for name, stream in _streams().items():
        vars(sys)[name] = vars(sys)[f"__{name}__"] = stream
    sys.path[0] = request.folder
    sys.argv[1:] = request.arguments
    # The service itself offers no choice of its brokers' parent, so that nobody can be made to choose a wrong one.
    warm = functools.partial(Brokers, program=tuple(request.brokers_parent))
    vars(child_processes)["Brokers"] = warm
    runpy.run_module(request.module, run_name="__main__", alter_sys=True)


def _streams() -> dict[str, TextIOWrapper]:
    """As the interpreter makes them at its start: they know whether they are files, pipes or terminals."""
    made = {name: _again(getattr(sys, name), mode) for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))}
    made["stderr"].reconfigure(line_buffering=True)
    return made


def _again(stream: TextIO, mode: str) -> TextIOWrapper:
    made = open(stream.fileno(), mode, encoding=stream.encoding, errors=stream.errors, closefd=False)  # noqa: SIM115 - it lasts as long as the process
    assert isinstance(made, TextIOWrapper)
    return made


if __name__ == "__main__":
    main()
