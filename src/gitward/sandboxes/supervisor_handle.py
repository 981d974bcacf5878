"""The worker's side of one supervisor: its channel, its pidfd, and the sockets it listens on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import socket
from collections.abc import Awaitable, Callable

from gitward.grants import channel
from gitward.sandboxes import descriptor_waits
from gitward.sandboxes.protocol import SandboxError, Stream
from gitward.sandboxes.remedies import explain
from gitward.sandboxes.standard_streams import StandardStreams
from gitward.sandboxes.supervisor_requests import PrepareRequest, StartRequest

READY_SECONDS = 15.0  # until a supervisor listens
END_SECONDS = 5.0  # until all has ended after a kill
SILENT_SECONDS = 10  # in a row without a sign of life: then a supervisor is taken to hang
_COMPLAINT_BYTES = 4096
_HUNG = "a sandbox's supervisor hung, so its command was ended; is the machine overloaded? Run the command again"
_GONE = "a sandbox's supervisor was ended from outside; run the command again"

Send = Callable[[PrepareRequest, tuple[int, ...]], Awaitable[None]]  # to the launcher


class NotStarted(SandboxError):
    """The supervisor died before it let its command start: another one may try."""


class SupervisorHandle:
    """Made by `prepare`; ended and closed by `end`."""

    def __init__(self, control: socket.socket, streams: StandardStreams, *, follows: bool) -> None:
        self._control = control
        self.streams = streams
        self._follows = follows  # what runs inside ends with the supervisor
        self._handle: int | None = None  # pidfd
        self._init: int | None = None  # pidfd of the sandbox's process 1, once the command was let go
        self._group: int | None = None  # the supervisor's process group, in which bubblewrap sets the sandbox up
        self._hung = False
        self._sending = asyncio.Lock()  # one at a time may wait for the channel
        self._started = False  # it is about to let the command start, or has
        self._reported = False  # it has told its last
        self.stays = False  # it has told how a command ended, and may be given another one
        self.listeners: tuple[socket.socket, ...] = ()

    @classmethod
    async def prepare(
        cls, send: Send, prepare: PrepareRequest, *, claim: int, options: tuple[str, ...], owner: int | None = None
    ) -> SupervisorHandle:
        """A supervisor that listens, and a sandbox with these options of bubblewrap's that waits for its command."""
        streams = StandardStreams(owner)
        ours, theirs = channel.pair()
        ours.setblocking(False)
        link = cls(ours, streams, follows=prepare.follows)
        try:
            with theirs:
                await send(prepare, (theirs.fileno(), claim, *streams.given(options)))
            streams.hand_over()
            message, fds = await link.receive(READY_SECONDS)
            if "listening" not in message:
                raise failure(message)
            link._handle, *listening = fds
            link._group = int(message["group"])
            link.listeners = tuple(socket.socket(fileno=fd) for fd in listening)
        except BaseException:
            await descriptor_waits.uninterrupted(link.end())
            link.close()
            raise
        return link

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._handle is not None and not _has_ended(self._handle)

    async def start(self, start: StartRequest, script: bytes, data: bytes = b"") -> None:
        """Hands over the command, which waits for `go`; in series with its input."""
        self._started = self.stays = False
        self.streams.tell(script, data)
        await self._order(start.message())

    async def go(self) -> None:
        """Lets the command start."""
        await self._order({"go": True})

    async def kill(self) -> None:
        """Ends the command; nothing happens when the supervisor is gone."""
        with contextlib.suppress(channel.ChannelClosed):
            await self._send({"kill": True})

    async def _order(self, message: channel.Message) -> None:
        """Sends a message. When the supervisor is gone: the error it left, or else NotStarted."""
        try:
            await self._send(message)
        except channel.ChannelClosed:
            with contextlib.suppress(channel.ChannelClosed):
                left, left_fds = await self._receive()
                channel.close_all(left_fds)
                raise failure(left, self._said()) from None
            raise NotStarted(_GONE) from None

    def _said(self) -> bytes:
        """What bubblewrap wrote, once it has ended."""
        with contextlib.suppress(BlockingIOError):
            return os.read(self.streams.outputs[Stream.STDERR], _COMPLAINT_BYTES)
        return b""

    async def _send(self, message: channel.Message) -> None:
        async with self._sending:
            await descriptor_waits.send(self._control, message)

    async def receive(self, seconds: float | None) -> tuple[channel.Message, list[int]]:
        """The supervisor's next message. SandboxError when none comes; NotStarted when it told of no start before."""
        try:
            async with asyncio.timeout(seconds):
                message, fds = await self._receive()
        except TimeoutError:
            raise NotStarted("a sandbox's supervisor does not answer; is the machine overloaded?") from None
        except channel.ChannelClosed:
            raise self._lost(_GONE) from None
        self.stays = "ended" in message and bool(message.get("stays"))
        self._reported = "error" in message or ("ended" in message and not self.stays)
        return message, fds

    async def hear(self) -> channel.Message:
        """The next message of a supervisor that supervises. SandboxError, or NotStarted, when it ended or hangs."""
        # In pieces: while this process itself is stopped, or has no time, only one of them passes.
        for _ in range(SILENT_SECONDS):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    message, fds = await self.receive(None)
                if "started" in message:
                    self._started = True
                    self._init = fds.pop() if fds and self._init is None else self._init
                channel.close_all(fds)
                return message
        self._hung = True
        raise self._lost(_HUNG)

    def _lost(self, text: str) -> SandboxError:
        return SandboxError(text) if self._started else NotStarted(text)

    async def _receive(self) -> tuple[channel.Message, list[int]]:
        """The next message, also that of a supervisor which ended before it read our last.

        Then the kernel reports a reset first (unix(7)), and what the supervisor said after it.
        """
        try:
            return await descriptor_waits.receive(self._control)
        except channel.ChannelClosed:
            return await descriptor_waits.receive(self._control)

    async def end(self) -> bool:
        """Ends the supervisor with all it supervises, and waits for it. Whether it has told how it went."""
        if self._handle is not None and not self._reported:
            if not self._hung:
                await self.kill()
            await self._wait(self._handle)
            await self._end_inside()
        return self._reported

    async def _end_inside(self) -> None:
        """After a supervisor that said nothing: the kernel kills all in a process namespace with its process 1.

        Before that is known, bubblewrap's child waits for bubblewrap to let it build the sandbox. It follows no parent
        yet, and would wait for ever for one that was killed meanwhile.
        """
        if self._follows and self._group is not None and self._has_its_number():
            with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody of ours is left
                os.killpg(self._group, signal.SIGKILL)
        if self._init is not None and self._follows:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._init, signal.SIGKILL)
            if not await _ends(self._init):
                raise SandboxError("the processes of a sandbox cannot be ended; check the machine's processes")

    def _has_its_number(self) -> bool:
        """Whether the number of the supervisor, which has ended, is no other process's by now.

        While somebody is left in the group, the kernel gives the number to nobody.
        """
        assert self._handle is not None
        assert self._group is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(self._handle, 0)  # nobody has waited for it yet
            return True
        try:
            os.kill(self._group, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        return False

    def close(self) -> None:
        """Closes everything; after `end`."""
        self._control.close()
        self.streams.close()
        for listener in self.listeners:
            listener.close()
        for handle in (self._handle, self._init):
            if handle is not None:
                os.close(handle)
        self._handle = self._init = None

    async def _wait(self, handle: int) -> None:
        for last_resort in (False, True):
            if last_resort or self._hung:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
            if await _ends(handle):
                return
        raise SandboxError("a sandbox's supervisor cannot be ended; check the machine's processes")


async def _ends(handle: int) -> bool:
    """Whether a process ends in time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(END_SECONDS):
            await descriptor_waits.readable(handle)
            return True
    return False


def failure(message: channel.Message, said: bytes = b"") -> SandboxError:
    """The error that a supervisor reports; `said` is what bubblewrap wrote."""
    text = said.decode("utf-8", "replace").strip()
    if message.get("stage") == "setup" and message.get("exit_code") in (-signal.SIGKILL, 128 + signal.SIGKILL):
        # Nobody of ours kills a bubblewrap that is still building, or waiting: its launcher died, or the kernel wanted
        # memory. Nothing has run; try again.
        return NotStarted(_GONE)
    return SandboxError(explain(str(message.get("stage")), f"{message.get('error')} {text}".strip()))


def _has_ended(handle: int) -> bool:
    """By poll: select knows no descriptor from 1,024 on, and a service with many watchers has such."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(0))
