"""The worker's view of one broker process: started, spoken to, ended."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import sys
from collections.abc import Callable, Sequence

from gitward.broker.wire.config import BrokerConfig, BrokerEvent
from gitward.broker.wire.link import Link
from gitward.broker.wire.upstream import handover
from gitward.errors import GitwardError
from gitward.grants import channel
from gitward.grants.channel import ChannelClosed, Message
from gitward.secrets import Secret

log = logging.getLogger(__name__)

START_SECONDS = 30.0  # to import and answer, on a busy machine
PROGRAM = (sys.executable, "-I", "-m", "gitward.broker.server.process")
END_SECONDS = 5.0  # to end by itself when its channel closes


class BrokerError(GitwardError):
    """The broker process refused a call, or could not be started."""


OnEvent = Callable[[BrokerEvent], None]
OnQuestion = Callable[[Message, list[int], "Child"], None]  # takes the descriptors over


class Child:
    """One process. It ends when its channel closes."""

    def __init__(
        self, process: asyncio.subprocess.Process, link: Link, on_event: OnEvent, on_question: OnQuestion
    ) -> None:
        self._process = process
        self._link = link
        self._on_event = on_event
        self._on_question = on_question
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._lost = False
        self._reading = asyncio.create_task(self._read(), name="broker answers")

    @property
    def pid(self) -> int:
        return self._process.pid

    @classmethod
    async def start(
        cls,
        config: BrokerConfig,
        on_event: OnEvent,
        on_question: OnQuestion,
        program: Sequence[str] = PROGRAM,
        *,
        proxy_login: Secret | None = None,
    ) -> Child:
        """A process that has answered. Raises BrokerError."""
        ours, theirs = channel.pair()
        with theirs:
            # Its channel is its standard input, so that no other descriptor is inherited. A session of its own:
            # Ctrl-C in the terminal is the worker's to handle.
            process = await asyncio.create_subprocess_exec(
                *program,
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.DEVNULL,
                env={},
                start_new_session=True,
            )
        child = cls(process, Link(ours), on_event, on_question)
        try:
            login = None if proxy_login is None else handover(proxy_login)
            await child.call(
                {"op": "configure", "config": config.to_message(), "proxy_login": login}, seconds=START_SECONDS
            )
        except ChannelClosed as error:
            status = await child.stop()
            raise BrokerError(f"the broker process did not start (exit status {status})") from error
        except BaseException:
            await child.stop()
            raise
        return child

    async def call(self, message: Message, fds: Sequence[int] = (), *, seconds: float) -> None:
        """Sends a message and waits for its answer.

        Raises BrokerError when the process refuses, ChannelClosed when it is gone; one that does not answer in
        time is killed, so it counts as gone.
        """
        number = next(self._ids)
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            if self._lost:
                raise ChannelClosed("the broker process is gone")
            async with asyncio.timeout(seconds):
                await self._link.send({**message, "id": number}, fds)
                await answer
        except TimeoutError as error:
            log.warning("the broker process %d did not answer %s in time", self.pid, message["op"])
            self.kill()
            raise ChannelClosed("the broker process does not answer") from error
        finally:
            del self._waiting[number]

    async def ended(self) -> int:
        """Waits until the channel is closed, makes sure that the process is gone too, returns its exit status."""
        await asyncio.wait([self._reading])
        return await self._reap()

    async def stop(self) -> int:
        """Closes the channel and waits for the process to end, by force after END_SECONDS."""
        self._reading.cancel()
        await asyncio.wait([self._reading])
        return await self._reap()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def _reap(self) -> int:
        self._link.close()
        try:
            async with asyncio.timeout(END_SECONDS):
                return await self._process.wait()
        except TimeoutError:
            self.kill()
            return await self._process.wait()

    async def _read(self) -> None:
        try:
            while True:
                self._take(*await self._link.receive())
        except ChannelClosed:
            pass
        except (ValueError, TypeError, KeyError):
            log.exception("the broker process %d sent nonsense and is ended", self.pid)
            self.kill()
        finally:
            self._lost = True
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(ChannelClosed("the broker process is gone"))

    def _take(self, message: Message, fds: list[int]) -> None:
        if "ask" in message:
            self._on_question(message, fds, self)
            return
        channel.close_all(fds)  # only a question has some
        if "event" in message:
            self._on_event(BrokerEvent(**message["event"]))
            return
        answer = self._waiting.get(message["id"])
        if answer is None or answer.done():
            return
        if error := message.get("error"):
            answer.set_exception(BrokerError(str(error)))
        else:
            answer.set_result(None)
