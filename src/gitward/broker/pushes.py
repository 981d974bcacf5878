"""The push itself: its head is read and checked before a byte goes upstream; then it streams."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from aiohttp.web_request import BaseRequest
from aiohttp.web_response import StreamResponse

from gitward.broker import push
from gitward.broker.bodies import BadBody, decoded
from gitward.broker.forward import Forwarder, Onward, Tap
from gitward.broker.listener import Touch
from gitward.broker.pktline import MalformedPktLine
from gitward.broker.push import PushHead, PushReader, ReportReader
from gitward.broker.refusals import push_refusal
from gitward.broker.reporter import Reporter
from gitward.errors import PolicyDenied
from gitward.grants.grant import Grant


class Pusher:
    """Handles POST git-receive-pack on the grant's repository."""

    def __init__(self, *, forwarder: Forwarder, reporter: Reporter) -> None:
        self._forwarder = forwarder
        self._reporter = reporter

    async def push(self, request: BaseRequest, grant: Grant, onward: Onward, touch: Touch) -> StreamResponse:
        """Forwards the push, or answers with a report-status that refuses every ref. Raises PolicyDenied."""
        body = decoded(request, touch)
        head, held = await _read_head(body)
        verdict = push.check(head, grant.push_ref)
        if not verdict.allowed:
            if not (head.reports and head.updates):
                raise PolicyDenied(verdict.rule, verdict.message)
            asked = ", ".join(update.ref for update in head.updates[:5])
            await self._reporter.denied(verdict, f"push {asked}"[:200])
            return push_refusal(push.refusal(head, verdict.message))
        if not head.updates:
            await _require_end(body)
        encoded = request.headers.get("Content-Encoding", "identity").lower() != "identity"
        onward = replace(
            onward,
            body=_again(held, body),
            length=None if encoded else onward.length,
            dropped=frozenset({"content-encoding"}),  # what goes on is what we read: decoded
            tap=self._tap(head),
        )
        return await self._forwarder.forward(request, onward, touch)

    def _tap(self, head: PushHead) -> Tap | None:
        if not head.updates:
            return None
        reader = ReportReader(sideband=head.sideband)
        (update,) = head.updates
        told = False

        async def tap(piece: bytes) -> None:
            nonlocal told
            reader.feed(piece)
            if not told and update.ref in reader.accepted:
                told = True
                await self._reporter.pushed(ref=update.ref, old=update.old, new=update.new)

        return tap


async def _read_head(body: AsyncIterator[bytes]) -> tuple[PushHead, list[bytes]]:
    """The head, and all bytes that were read to see it."""
    reader = PushReader()
    held: list[bytes] = []
    try:
        async for piece in body:
            held.append(piece)
            reader.feed(piece)
            if reader.head is not None:
                if not reader.head.updates and reader.rest:
                    raise BadBody("a push without updates must have no pack")
                return reader.head, held
    except MalformedPktLine as error:
        raise BadBody(f"this is no push: {error}") from error
    raise BadBody("the push ends before its commands do")


async def _require_end(body: AsyncIterator[bytes]) -> None:
    async for piece in body:
        if piece:
            raise BadBody("a push without updates must have no pack")


async def _again(held: list[bytes], body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    while held:
        yield held.pop(0)
    async for piece in body:
        if piece:
            yield piece
