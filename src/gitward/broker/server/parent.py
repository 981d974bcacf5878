"""The warm parent of the brokers: `python -I -m gitward.broker.server.parent`, its channel as standard input.

It has imported everything that a broker needs, and given up every right, so that a fork of it is a broker within
milliseconds and shares its memory with the others. It knows where GitHub is, and no secret: each broker gets its
secrets over a channel of its own, whose end the parent passes on unread. It ends when its channel closes; its brokers
do not end with it.
"""

from __future__ import annotations

import gc
import logging
import os
import select
import signal
import socket
import ssl
import sys
from typing import NoReturn
from urllib.parse import urlsplit

import graphql  # noqa: F401 - the policy imports it when it reads the first document; a broker has it by then

from gitward.broker.server import process
from gitward.broker.server.hardening import harden, name_process
from gitward.broker.server.tls import upstream_context
from gitward.broker.wire.config import BrokerConfig
from gitward.broker.wire.names import PARENT_NAME
from gitward.grants import channel
from gitward.grants.channel import ChannelClosed, Message
from gitward.telemetry.logs import setup_logging

log = logging.getLogger(__name__)


def main() -> int:
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # whatever the worker was started with, and did not know of
    setup_logging()
    name_process(PARENT_NAME)
    worker = socket.socket(fileno=0)
    message, fds = channel.receive(worker)
    channel.close_all(fds)
    config = BrokerConfig.of(message["config"])
    tls = _upstream_tls(config)  # read while we may still read everything
    harden()
    gc.disable()
    gc.collect()
    gc.freeze()  # what is alive now is the brokers' too: no collection of theirs shall touch its pages
    try:
        channel.send(worker, {"id": message["id"]})
        Parent(worker, config, tls).serve()
    except ChannelClosed:
        _reap()
        return 0


class Parent:
    """Forks a broker whenever the worker asks."""

    def __init__(self, worker: socket.socket, config: BrokerConfig, tls: ssl.SSLContext | None) -> None:
        self._worker = worker
        self._config = config
        self._tls = tls
        self._wakeup, self._wakeup_writer = _catch_ends()

    def serve(self) -> NoReturn:
        """Until the channel closes. Raises ChannelClosed."""
        poll = select.poll()
        poll.register(self._worker, select.POLLIN)
        poll.register(self._wakeup, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._wakeup in ready:
                os.read(self._wakeup, 4096)
                _reap()
            if self._worker.fileno() in ready:
                self._obey(*channel.receive(self._worker))

    def _obey(self, message: Message, fds: list[int]) -> None:
        try:
            match message["op"]:
                case "ping":
                    channel.send(self._worker, {"id": message["id"]})
                case "fork":
                    self._fork(message["id"], fds)
                case other:
                    channel.send(self._worker, {"id": message["id"], "error": f"unknown message {other!r}"})
        finally:
            channel.close_all(fds)

    def _fork(self, number: int, fds: list[int]) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            channel.send(self._worker, {"id": number, "error": f"no process could be forked: {error.strerror}"})
            return
        if pid == 0:
            self._become_broker(fds)
        handle = os.pidfd_open(pid)  # it is ours to reap, so the number is nobody else's yet
        try:
            channel.send(self._worker, {"id": number, "pid": pid}, [handle])
        finally:
            os.close(handle)

    def _become_broker(self, fds: list[int]) -> NoReturn:
        """The forked half never returns to the parent's loop, whatever happens."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            channel.close_all((self._wakeup, self._wakeup_writer))
            # Its channel takes the place of the parent's, which ends for the worker with the parent alone.
            os.dup2(fds[0], 0)
            os.close(fds[0])
            self._worker.detach()
            process.live(socket.socket(fileno=0), self._config, self._tls, entrance=fds[1] if len(fds) > 1 else None)
            status = 0
        except BaseException:  # the edge of a process: report, then end
            log.exception("a broker failed")
        finally:
            logging.shutdown()
            os._exit(status)  # without taking the interpreter down, which would copy every page that is shared


def _catch_ends() -> tuple[int, int]:
    """Turns the end of a broker into a readable descriptor, the first."""
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(writer)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    return reader, writer


def _reap() -> None:
    """Looks at how brokers ended."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if status != 0:
            log.error("the broker %d ended with exit status %d", pid, os.waitstatus_to_exitcode(status))


def _upstream_tls(config: BrokerConfig) -> ssl.SSLContext | None:
    urls = (config.upstream_url, config.upstream_api_url)
    if not config.inject and all(urlsplit(url).scheme == "http" for url in urls):
        return None  # a stand-in on loopback; the roots would cost memory
    return upstream_context(config.ca_file)


if __name__ == "__main__":
    sys.exit(main())
