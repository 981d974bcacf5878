"""The worker's handle on its launcher: started early, replaced when it dies, ended by closing its channel."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import subprocess
import sys

from gitward.grants import channel
from gitward.grants.lease import Lease
from gitward.sandboxes import readiness
from gitward.sandboxes.launch import Prepare
from gitward.sandboxes.protocol import SandboxError

_END_SECONDS = 5.0
_SEND_SECONDS = 10.0


class LauncherProcess:
    """One launcher. `send` may be called by many commands at once."""

    def __init__(self, *, inherits_environment: bool = False) -> None:
        self._environment = None if inherits_environment else dict[str, str]()
        self._process: asyncio.subprocess.Process | None = None
        self._channel: socket.socket | None = None
        self._changing = asyncio.Lock()
        self._sending = asyncio.Lock()  # one at a time may wait for the channel
        self._until: float | None = None  # of the boot clock: the end of the worker's lease; None: it has none

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Starts the launcher, unless it runs."""
        async with self._changing:
            if self._channel is None:
                await self._spawn()

    async def stop(self) -> None:
        """Closes the channel and waits for the end. Safe to call again."""
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

    async def send(self, prepare: Prepare, fds: tuple[int, ...]) -> None:
        """Asks for one supervisor; a launcher that has died is replaced first."""
        for attempt in range(2):
            if self._until is not None and not Lease(self._until).held:
                raise SandboxError("this worker was silent for too long, and another one may have its runs")
            sock = self._channel
            if sock is None:
                raise SandboxError("the sandbox engine is stopped")
            try:
                async with asyncio.timeout(_SEND_SECONDS), self._sending:
                    await readiness.send(sock, prepare.message(), fds)
            except TimeoutError:
                raise SandboxError("the launcher of sandboxes does not answer; restart the worker") from None
            except channel.ChannelClosed:
                if attempt:
                    raise SandboxError("the launcher of sandboxes dies again and again; see the log") from None
                await self._replace(sock)
            else:
                return

    async def _replace(self, dead: socket.socket) -> None:
        async with self._changing:
            if self._channel is dead:
                await self._end()
                await self._spawn()

    async def _spawn(self) -> None:
        ours, theirs = channel.pair()
        ours.setblocking(False)
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-m", "gitward.sandboxes.launcher", str(theirs.fileno())),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=self._environment,
                cwd="/",
                start_new_session=True,  # an interrupt at the terminal is the worker's to handle
            )
        self._channel = ours
        self._tell_until(ours)

    async def _end(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
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
