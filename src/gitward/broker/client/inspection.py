"""The worker's end of `broker.wire.inspection`: one run's inspector, asked by the broker process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Sequence

from gitward.broker.client.process import BrokerError
from gitward.broker.wire.inspection import FileRequest, answer_with, refusal, request_of
from gitward.grants import channel
from gitward.grants.channel import ChannelClosed, Message
from gitward.grants.inspection import BadPack, InspectionFailed, Inspector

log = logging.getLogger(__name__)

_NO_INSPECTOR = "this worker cannot inspect pushes, and the session may not change workflows"
_NO_ROOM = "the worker has no room for this push; try again later"

Tell = Callable[[Message, Sequence[int]], Awaitable[object]]


class Inspections:
    """Answers one question at a time. The process asks no second one of a run before it gave the first up."""

    def __init__(self, inspector: Inspector | None) -> None:
        self._inspector = inspector
        self._answering: asyncio.Task[None] | None = None
        self._closed = False

    def answer(self, question: Message, fds: list[int], tell: Tell) -> None:
        """Begins to answer, by `tell`. Takes `fds` over; an earlier question that is still open is given up."""
        if self._closed:
            channel.close_all(fds)
            return
        before = self._answering
        self._answering = asyncio.create_task(self._answer(question, fds, tell, before))

    async def close(self) -> None:
        """After it returned nothing is looked at any more."""
        self._closed = True
        if self._answering is not None:
            self._answering.cancel()
            await asyncio.wait([self._answering])

    async def _answer(self, question: Message, fds: list[int], tell: Tell, before: asyncio.Task[None] | None) -> None:
        given: list[int] = []
        try:
            if before is not None:
                before.cancel()
                await asyncio.wait([before])
            answer = await self._answer_to(question, fds, given)
            await tell({"op": "answer", "number": question["number"], **answer}, given)
        except (ChannelClosed, BrokerError) as error:  # the process that asked is gone, and the push with it
            log.info("Nobody waits for the answer about a push any more: %s", error)
        except Exception:  # the edge of a task that nobody awaits; the process refuses the push when its time is up
            log.exception("an inspection of a push failed")
        finally:
            channel.close_all([*fds, *given])

    async def _answer_to(self, question: Message, fds: list[int], given: list[int]) -> Message:
        if self._inspector is None:
            return refusal(InspectionFailed(_NO_INSPECTOR))
        try:
            request = request_of(question)
            if isinstance(request, FileRequest):
                given.append(await _opened(self._inspector))
                return {}
            (pack,) = fds
            findings = await self._inspector.inspect(pack, request.tip, messages=request.messages)
            return answer_with(findings)
        except (BadPack, InspectionFailed) as error:
            return refusal(error)
        except OSError as error:
            log.warning("No file for a push: %s", error)
            return refusal(InspectionFailed(_NO_ROOM))


async def _opened(inspector: Inspector) -> int:
    """A file for a pack, for the caller to close; one that comes when the caller was cancelled is closed."""
    opening = asyncio.create_task(asyncio.to_thread(inspector.open_file))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close)
        raise


def _close(opened: asyncio.Task[int]) -> None:
    with contextlib.suppress(OSError, asyncio.CancelledError):
        os.close(opened.result())
