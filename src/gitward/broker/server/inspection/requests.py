"""The broker's end of `broker.wire.inspection`: asks its worker about a push that must be inspected."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Sequence
from typing import Protocol

from gitward.broker.wire.inspection import FileRequest, PackRequest, Request, findings_of, require_success
from gitward.grants import channel
from gitward.grants.channel import Message
from gitward.grants.inspection import BadPack, Findings, InspectionFailed

_SPOOL_SECONDS = 30.0
_LOOK_SECONDS = 300.0  # beyond the inspector's own limit


class Send(Protocol):
    """Sends one message to the worker, with descriptors that the caller keeps."""

    def __call__(self, message: Message, fds: Sequence[int] = (), /) -> Awaitable[None]: ...


class InspectionRequests:
    """Asks, and waits for the answers."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[tuple[Message, list[int]]]] = {}

    async def spool(self, run_id: str) -> int:
        """The descriptor of an empty file without a name, for the caller to close. Raises InspectionFailed."""
        _, fds = await self._ask(FileRequest(run_id=run_id), (), _SPOOL_SECONDS)
        if len(fds) != 1:
            channel.close_all(fds)
            raise InspectionFailed("the worker has no room for this push; try again later")
        return fds[0]

    async def look(self, run_id: str, pack: int, tip: str, *, messages: bool) -> Findings:
        """As `Inspector.look`. Raises BadPack and InspectionFailed."""
        request = PackRequest(run_id=run_id, tip=tip, messages=messages)
        answer, fds = await self._ask(request, (pack,), _LOOK_SECONDS)
        channel.close_all(fds)
        return findings_of(answer)

    def answered(self, message: Message, fds: list[int]) -> None:
        """Takes an answer, and `fds`, over. One that nobody waits for any more is dropped."""
        waiting = self._waiting.pop(message["number"], None)
        if waiting is None or waiting.done():
            channel.close_all(fds)
            return
        waiting.set_result((message, fds))

    async def _ask(self, request: Request, fds: Sequence[int], seconds: float) -> tuple[Message, list[int]]:
        number = next(self._numbers)
        answer: asyncio.Future[tuple[Message, list[int]]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        taken = False
        try:
            async with asyncio.timeout(seconds):
                await self._send(request.to_message(number), fds)
                found = await asyncio.shield(answer)
                taken = True
                return _checked(*found)
        except TimeoutError as error:
            raise InspectionFailed("the worker did not inspect this push in time; try again later") from error
        finally:
            self._waiting.pop(number, None)
            if not answer.cancel() and not taken:  # it came, and whoever waited was cancelled in that moment
                channel.close_all(answer.result()[1])


def _checked(message: Message, fds: list[int]) -> tuple[Message, list[int]]:
    try:
        require_success(message)
    except (BadPack, InspectionFailed):
        channel.close_all(fds)
        raise
    return message, fds
