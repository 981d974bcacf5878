"""The worker's handle on its launcher: started early, replaced when it dies or hangs, ended by closing its channel."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import math
import socket
import subprocess
import sys
from typing import Any

from gitward.grants import channel
from gitward.grants.lease import Lease
from gitward.sandboxes import descriptor_waits
from gitward.sandboxes.protocol import SandboxError
from gitward.sandboxes.supervisor_requests import PrepareRequest

_END_SECONDS = 5.0
_SEND_SECONDS = 10.0
ASK_SECONDS = 2.0  # between two questions whether it lives
SLOW_SECONDS = 5  # without an answer: `answers` is False
HANGS_SECONDS = 10  # without an answer: it is replaced, and every sandbox ends with it
_PIECES = 10  # in which a launcher that hangs is waited for

log = logging.getLogger(__name__)


class LauncherHandle:
    """One launcher. `send` may be called by many commands at once."""

    def __init__(
        self,
        *,
        inherits_environment: bool = False,
        ask_seconds: float = ASK_SECONDS,
        slow_seconds: float = SLOW_SECONDS,
        hangs_seconds: float = HANGS_SECONDS,
    ) -> None:
        self._ask_seconds = ask_seconds
        self._slow_seconds = slow_seconds
        self._hangs_seconds = hangs_seconds
        self._environment = None if inherits_environment else dict[str, str]()
        self._process: asyncio.subprocess.Process | None = None
        self._channel: socket.socket | None = None
        self._changing = asyncio.Lock()
        self._sending = asyncio.Lock()  # one at a time may wait for the channel
        self._asking = asyncio.Lock()  # held by who waits for an answer
        self._watching: asyncio.Task[None] | None = None  # from `start` to `stop`
        self._unanswered = 0.0  # seconds
        self._until: float | None = None  # of the boot clock: the end of the worker's lease; None: it has none

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def answers(self) -> bool:
        """Whether it answered lately. False while there is none although there should be one."""
        is_missing = self._channel is None and self._watching is not None and self._lease_held
        return not is_missing and self._unanswered < self._slow_seconds

    @property
    def _lease_held(self) -> bool:
        return self._until is None or Lease(self._until).held

    async def start(self) -> None:
        """Starts the launcher, unless it runs."""
        async with self._changing:
            if self._channel is None:
                await self._spawn()
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Closes the channel and waits for the end. Safe to call again."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            await asyncio.wait({watching})
        async with self._changing:
            await self._end()

    def act_until(self, moment: float) -> None:
        """The launcher ends at this moment, and every sandbox with it, unless a later one is told before."""
        self._until = None if math.isinf(moment) and moment > 0 else moment
        if self._channel is not None:
            self._tell_until(self._channel)

    def _tell_until(self, sock: socket.socket) -> None:
        if self._until is not None:
            with contextlib.suppress(channel.ChannelClosed, BlockingIOError):  # a full channel: the next time, then
                channel.send(sock, {"until": self._until})

    async def send(self, prepare: PrepareRequest, fds: tuple[int, ...]) -> None:
        """Asks for one supervisor; a launcher that has died is replaced first."""
        for attempt in range(2):
            if not self._lease_held:
                raise SandboxError("this worker was silent for too long, and another one may have its runs")
            if self._channel is None:
                await self._replace_now(None)
            sock = self._channel
            if sock is None:
                raise SandboxError("the sandbox engine is stopped")
            try:
                async with asyncio.timeout(_SEND_SECONDS), self._sending:
                    await descriptor_waits.send(sock, prepare.message(), fds)
            except TimeoutError:
                raise SandboxError(
                    "the launcher of sandboxes does not answer, and is being replaced; retry the run"
                ) from None
            except channel.ChannelClosed:
                if attempt:
                    raise SandboxError("the launcher of sandboxes keeps dying; see the log") from None
                await self._replace_now(sock)
            else:
                return

    async def _replace_now(self, dead: socket.socket | None) -> None:
        try:
            await self._replace(dead)
        except OSError as error:  # the machine has no room for a process: the watch tries again
            raise SandboxError(
                f"the launcher of sandboxes ended, and cannot be replaced yet ({error}); retry the run"
            ) from error

    async def _watch(self) -> None:
        """Asks again and again, and replaces a launcher that has died, or that hangs, until a new one runs."""
        while True:
            await asyncio.sleep(self._ask_seconds)
            if not self._lease_held:
                continue  # it ended by the clock
            sock = self._channel
            if sock is not None and await self._lives(sock):
                continue
            try:
                await self._replace(sock)
            except OSError as error:  # the machine has no room for a process: ask again
                log.warning("The launcher of sandboxes cannot be replaced yet: %s", error)
            except Exception:  # the edge of a task that must go on
                log.exception("The launcher of sandboxes cannot be replaced yet")

    async def _lives(self, sock: socket.socket) -> bool:
        """Also when somebody has replaced it meanwhile: the next question goes to the new one."""
        try:
            if await self._answered(sock):
                return True
            what = "hung. It is replaced; what ran in its sandboxes ends"
        except (OSError, ValueError):  # its end, or a socket that was closed under the wait
            what = "ended, and is replaced"
        if self._channel is not sock:
            return True
        log.warning("The launcher of sandboxes %s", what)
        return False

    async def _answered(self, sock: socket.socket) -> bool:
        with contextlib.suppress(BlockingIOError):  # a full channel: nobody reads it
            channel.send(sock, {"ask": True})
        # In pieces: while this process itself is stopped, or has no time, only one of them passes.
        piece = self._hangs_seconds / _PIECES
        while self._unanswered < self._hangs_seconds:
            with contextlib.suppress(TimeoutError):
                async with self._asking, asyncio.timeout(piece):
                    await descriptor_waits.receive(sock)
                self._unanswered = 0
                return True
            self._unanswered += piece
        return False

    async def _replace(self, dead: socket.socket | None) -> None:
        """Unless somebody else has, or it is stopped. None: an earlier attempt left no launcher.

        :raises OSError: there is no room for a process. There is no launcher then.
        """
        async with self._changing:
            if self._channel is dead and self._watching is not None:
                if self._process is not None:
                    with contextlib.suppress(ProcessLookupError):
                        self._process.kill()  # one that hangs would not see its channel close
                await self._end()
                await self._spawn()

    async def _spawn(self) -> None:
        ours, theirs = channel.pair()
        with contextlib.ExitStack() as undo, theirs:
            undo.callback(ours.close)
            ours.setblocking(False)
            self._process = await _begun(
                *(sys.executable, "-I", "-m", "gitward.sandboxes.launcher", str(theirs.fileno())),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=self._environment,
                cwd="/",
                start_new_session=True,  # an interrupt at the terminal is the worker's to handle
            )
            undo.pop_all()
        self._channel, self._unanswered = ours, 0
        self._tell_until(ours)

    async def _end(self) -> None:
        if self._channel is not None:
            sock, self._channel = self._channel, None
            await descriptor_waits.uninterrupted(self._close(sock))
        if self._process is None:
            return
        try:
            async with asyncio.timeout(_END_SECONDS):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        self._process = None

    async def _close(self, sock: socket.socket) -> None:
        with sock:
            sock.shutdown(socket.SHUT_RDWR)
            # That wakes who waits for it. A new descriptor may get its number, so they leave the event loop first.
            async with self._sending, self._asking:
                pass


async def _begun(*argv: str, **how: Any) -> asyncio.subprocess.Process:
    """:raises OSError: there is no room for the process, or for the thread that waits for its end."""
    try:
        return await asyncio.create_subprocess_exec(*argv, **how)
    except RuntimeError as error:  # of threading; the process ends with its channel
        raise OSError(errno.EAGAIN, str(error)) from error
