"""The push itself: the broker reads and checks its head before it forwards a byte; then the push streams."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from aiohttp.web_request import BaseRequest
from aiohttp.web_response import StreamResponse

from gitward.broker.policy import push
from gitward.broker.policy.push import PushHead, PushReader, ReportReader
from gitward.broker.policy.restriction import Restriction
from gitward.broker.policy.verdict import Verdict, deny
from gitward.broker.server.forwarder import Forwarder, Onward, Tap
from gitward.broker.server.inspection.push_check import PushCheck
from gitward.broker.server.listener import Touch
from gitward.broker.server.refusals import push_refusal
from gitward.broker.server.reporter import Reporter
from gitward.broker.server.request_bodies import BadBody, decoded
from gitward.broker.wire.pktline import MalformedPktLine
from gitward.errors import PolicyDenied
from gitward.grants.grant import Grant


@dataclass(frozen=True, kw_only=True)
class PushPrefix:
    """What was read of a push to know what it wants."""

    head: bytes
    rest: bytes  # the first bytes of the pack, that came with the head


class Pusher:
    """Handles POST git-receive-pack on the grant's repository."""

    def __init__(self, *, forwarder: Forwarder, reporter: Reporter, push_check: PushCheck | None) -> None:
        """Without `push_check` packs stream, and nobody looks at them."""
        self._forwarder = forwarder
        self._reporter = reporter
        self._push_check = push_check
        self._restriction: Restriction | None = None

    def restrict(self, restriction: Restriction) -> None:
        """From now on. The one push that is left was decided by the worker: nobody looks at its pack."""
        self._restriction = restriction
        self._push_check = None

    async def push(self, request: BaseRequest, grant: Grant, onward: Onward, touch: Touch) -> StreamResponse:
        """Forwards the push, or answers with a report-status that refuses every ref. Raises PolicyDenied."""
        body = decoded(request, touch)
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            onward = replace(onward, length=None)
        head, begun = await _read_head(body)
        verdict = push.check(head, grant.push_ref)
        if self._restriction is not None:
            verdict = self._restriction.push(head) if verdict.allowed else self._restriction.refusal
        if not verdict.allowed:
            return await self._refuse(head, verdict)
        async with contextlib.AsyncExitStack() as held:
            try:
                onward = await self._with_body(held, head, begun, body, onward)
            except PolicyDenied as refused:
                if refused.rule.startswith("http."):
                    raise  # the body is none
                return await self._refuse(head, deny(refused.rule, refused.message))
            touch()
            return await self._forwarder.forward(request, onward, touch)

    async def _with_body(
        self,
        held: contextlib.AsyncExitStack,
        head: PushHead,
        begun: PushPrefix,
        body: AsyncIterator[bytes],
        onward: Onward,
    ) -> Onward:
        """What goes on is what we read: decoded. Raises PolicyDenied."""
        onward = replace(onward, dropped=frozenset({"content-encoding"}), tap=self._tap(head))
        if not head.updates:
            await _require_end(body)
        if not head.updates or self._push_check is None:
            return replace(onward, body=_again(begun, body))
        (update,) = head.updates
        pack_file = await held.enter_async_context(self._push_check.cleared(update, begun.rest, body))
        return replace(onward, body=pack_file.pieces(begun.head), length=len(begun.head) + pack_file.size)

    async def _refuse(self, head: PushHead, verdict: Verdict) -> StreamResponse:
        if not (head.reports and head.updates):
            raise PolicyDenied(verdict.rule, verdict.message)
        asked = ", ".join(update.ref for update in head.updates[:5])
        await self._reporter.denied(verdict, f"push {asked}"[:200])
        return push_refusal(push.refusal(head, verdict.message))

    def _tap(self, head: PushHead) -> Tap | None:
        if not head.updates:
            return None
        reader = ReportReader(sideband=head.sideband)
        (update,) = head.updates
        told = False

        async def tap(piece: bytes) -> None:
            """The worker is told before git is: when git ends, the event is on its way."""
            nonlocal told
            reader.feed(piece)
            if told:
                return
            if update.ref in reader.accepted:
                told = True
                await self._reporter.pushed(ref=update.ref, old=update.old, new=update.new)
            elif (reason := reader.refused.get(update.ref)) is not None:
                told = True
                await self._reporter.push_refused(ref=update.ref, new=update.new, reason=reason)

        return tap


async def _read_head(body: AsyncIterator[bytes]) -> tuple[PushHead, PushPrefix]:
    reader = PushReader()
    read = bytearray()
    try:
        async for piece in body:
            read += piece
            reader.feed(piece)
            if reader.head is not None:
                rest = reader.rest
                if not reader.head.updates and rest:
                    raise BadBody("a push without updates must have no pack")
                return reader.head, PushPrefix(head=bytes(read[: len(read) - len(rest)]), rest=rest)
    except MalformedPktLine as error:
        raise BadBody(f"this is not a valid push: {error}") from error
    raise BadBody("the push ends before its commands do")


async def _require_end(body: AsyncIterator[bytes]) -> None:
    async for piece in body:
        if piece:
            raise BadBody("a push without updates must have no pack")


async def _again(begun: PushPrefix, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield begun.head + begun.rest
    async for piece in body:
        if piece:
            yield piece
