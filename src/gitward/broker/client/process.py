"""One broker process as the worker sees it: a channel for messages, and a pidfd to end it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gitward.broker.wire.link import Link
from gitward.errors import GitwardError
from gitward.grants import channel
from gitward.grants.channel import ChannelClosed, Message

log = logging.getLogger(__name__)

END_SECONDS = 5.0  # to end by itself when its channel closes
_KILLED_SECONDS = 10.0  # to be gone after SIGKILL; what hangs in the kernel for longer is left to it


class BrokerError(GitwardError):
    """A process of the broker's refused a call, or could not be started."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a process said to a call; its descriptors are the caller's to close."""

    message: Message
    fds: list[int] = field(default_factory=list)


OnMessage = Callable[[Message, list[int], "Process"], None]  # takes the descriptors over


class Process:
    """It ends when its channel closes."""

    def __init__(self, *, name: str, pid: int, handle: int, sock: socket.socket, on_message: OnMessage) -> None:
        """Takes `handle`, a pidfd, and `sock` over. `on_message` is given what is no answer to a call."""
        self.name = name
        self.pid = pid
        self._handle = handle
        self._link = Link(sock)
        self._on_message = on_message
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._lost = False
        self._status: int | None = None
        self.on_end: Callable[[], None] = lambda: None  # called once, when the process has ended
        self._reading = asyncio.create_task(self._read(), name=f"answers of {name} {pid}")

    async def call(self, message: Message, fds: Sequence[int] = (), *, seconds: float) -> Answer:
        """Sends a message and waits for its answer.

        Raises BrokerError when the process refuses, ChannelClosed when it is gone; one that does not answer in
        time is killed, so it counts as gone.
        """
        number = next(self._ids)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        taken = False
        try:
            if self._lost:
                raise ChannelClosed(f"{self.name} is gone")
            async with asyncio.timeout(seconds):
                await self._link.send({**message, "id": number}, fds)
                found = await answer
                taken = True
                return found
        except TimeoutError as error:
            log.warning("%s %d did not answer %s in time", self.name, self.pid, message["op"])
            self.kill()
            raise ChannelClosed(f"{self.name} does not answer") from error
        finally:
            del self._waiting[number]
            if not taken:
                _drop(answer)

    async def ended(self) -> int | None:
        """Waits until the channel is closed, makes sure that the process is gone too; as `stop`."""
        await asyncio.wait([self._reading])
        return await self._reap()

    async def stop(self) -> int | None:
        """Closes the channel and waits for the process to end, by force after END_SECONDS.

        Its exit status; None when another process was to be told that.
        """
        self._reading.cancel()
        await asyncio.wait([self._reading])
        return await self._reap()

    def kill(self) -> None:
        if self._handle >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    async def _reap(self) -> int | None:
        self._link.close()
        if self._handle < 0:
            return self._status
        if not await self._gone(END_SECONDS):
            self.kill()
            if not await self._gone(_KILLED_SECONDS):
                log.error("%s %d does not end although it was killed", self.name, self.pid)
        if self._handle >= 0:  # nobody else was faster meanwhile
            self._status = _status(self._handle)
            os.close(self._handle)
            self._handle = -1
            self.on_end()
        return self._status

    async def _gone(self, seconds: float) -> bool:
        """Whether the process has ended, within so many seconds."""
        if self._handle < 0:
            return True
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        watched = os.dup(self._handle)  # two may wait, and a loop knows one reader for each descriptor
        loop.add_reader(watched, ended.set)
        try:
            async with asyncio.timeout(seconds):
                await ended.wait()
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(watched)
            os.close(watched)
        return True

    async def _read(self) -> None:
        try:
            while True:
                self._take(*await self._link.receive())
        except ChannelClosed:
            pass
        except (ValueError, TypeError, KeyError):
            log.exception("%s %d sent an invalid message, and is ended", self.name, self.pid)
            self.kill()
        finally:
            self._lost = True
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(ChannelClosed(f"{self.name} is gone"))

    def _take(self, message: Message, fds: list[int]) -> None:
        if "id" not in message:
            self._on_message(message, fds, self)
            return
        answer = self._waiting.get(message["id"])
        if answer is None or answer.done():
            channel.close_all(fds)
        elif error := message.get("error"):
            channel.close_all(fds)
            answer.set_exception(BrokerError(str(error)))
        else:
            answer.set_result(Answer(message=message, fds=fds))


def _drop(answer: asyncio.Future[Answer]) -> None:
    """Nobody waits any more: descriptors that came in the same moment are closed, an error counts as seen."""
    if not answer.cancel() and not answer.cancelled() and answer.exception() is None:
        channel.close_all(answer.result().fds)


def _status(handle: int) -> int | None:
    """As `subprocess` has it; None for a child of the parent's, which logs how it ended, and while it lives."""
    try:
        ended = os.waitid(os.P_PIDFD, handle, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return None
    if ended is None:
        return None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
