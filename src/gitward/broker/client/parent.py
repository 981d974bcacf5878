"""The warm parent as the worker sees it. Every broker is forked from it; it never gets a secret."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

from gitward.broker.client.process import BrokerError, OnMessage, Process
from gitward.broker.client.process_keeper import PING_SECONDS, REPLACE_SECONDS, ProcessKeeper
from gitward.broker.wire.config import BrokerConfig
from gitward.grants import channel
from gitward.grants.cgroups import Group
from gitward.grants.channel import ChannelClosed, Message

START_SECONDS = 30.0  # to import and answer, on a busy machine
PROGRAM = (sys.executable, "-I", "-m", "gitward.broker.server.parent")


class Parent:
    """Started once, replaced when it ends or hangs. Brokers that were forked before live on."""

    def __init__(
        self,
        config: BrokerConfig,
        *,
        answer_seconds: float,
        ping_seconds: float = PING_SECONDS,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self._config = config
        self._answer_seconds = answer_seconds
        self._program = tuple(program)
        self._upkeep = ProcessKeeper(
            "the brokers' parent", self._spawn, answer_seconds=answer_seconds, ping_seconds=ping_seconds
        )

    @property
    def pid(self) -> int | None:
        """Of the present process."""
        return self._upkeep.process.pid if self._upkeep.process else None

    @property
    def runs(self) -> bool:
        return self._upkeep.runs

    @property
    def restarts(self) -> int:
        return self._upkeep.restarts

    async def start(self) -> None:
        """Raises BrokerError."""
        try:
            await self._upkeep.start()
        except (ChannelClosed, OSError) as error:
            raise BrokerError(f"the brokers' parent did not start: {error}") from error

    async def stop(self) -> None:
        """Call it when no broker is needed any more."""
        await self._upkeep.stop()

    async def replaced(self, pid: int) -> None:
        """Waits until the process is another one than `pid`."""
        await self._upkeep.replaced(pid)

    async def fork(self, group: Group | None, on_message: OnMessage) -> Process:
        """A broker that nobody has told anything yet; it enters the group, if it may. Raises BrokerError.

        A parent that does not answer is replaced meanwhile.
        """
        try:
            async with asyncio.timeout(REPLACE_SECONDS):
                while True:
                    parent = self._upkeep.process
                    if parent is None:
                        raise BrokerError("the brokers' parent is not running")
                    try:
                        return await self._forked(parent, group, on_message)
                    except ChannelClosed:
                        await self._upkeep.replaced(parent.pid)
        except TimeoutError as error:
            raise BrokerError("the brokers' parent ended and could not be replaced in time") from error

    async def _forked(self, parent: Process, group: Group | None, on_message: OnMessage) -> Process:
        ours, theirs = channel.pair()  # a new one for each try: what an earlier one made ends with its channel
        fds = [theirs.fileno()]
        try:
            if group is not None:
                fds.append(os.open(group.entrance, os.O_WRONLY | os.O_CLOEXEC))
            answer = await parent.call({"op": "fork"}, fds, seconds=self._answer_seconds)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            channel.close_all(fds[1:])
        (handle,) = answer.fds
        return Process(name="the broker", pid=answer.message["pid"], handle=handle, sock=ours, on_message=on_message)

    async def _spawn(self) -> Process:
        ours, theirs = channel.pair()
        with theirs:
            pid = _spawned(self._program, theirs.fileno())
        parent = Process(name="the brokers' parent", pid=pid, handle=os.pidfd_open(pid), sock=ours, on_message=_ignore)
        try:
            await parent.call({"op": "configure", "config": self._config.to_message()}, seconds=START_SECONDS)
        except ChannelClosed as error:
            status = await parent.stop()
            raise BrokerError(f"the brokers' parent did not start (exit status {status})") from error
        except BaseException:
            await parent.stop()
            raise
        return parent


def _spawned(program: tuple[str, ...], end: int) -> int:
    """A new process, with no variable, and this end of a channel as its standard input: it inherits no other.

    It has a session of its own: Ctrl-C in the terminal is the worker's to handle.
    """
    actions = [(os.POSIX_SPAWN_DUP2, end, 0), (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    return os.posix_spawn(program[0], program, {}, file_actions=actions, setsid=True)


def _ignore(message: Message, fds: list[int], _parent: Process) -> None:
    """It says nothing that it was not asked."""
    del message
    channel.close_all(fds)
