"""LFS requests of one run: the batch goes upstream with the token, the objects stream to their storage without."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

from aiohttp.web_request import BaseRequest
from aiohttp.web_response import StreamResponse

from gitward.broker.policy import lfs
from gitward.broker.policy.accept import Accepted
from gitward.broker.policy.lfs import Call, LfsCall
from gitward.broker.policy.restriction import Restriction
from gitward.broker.policy.verdict import Verdict
from gitward.broker.server.forwarder import Forwarder, Onward
from gitward.broker.server.lfs_actions import Actions
from gitward.broker.server.listener import Touch
from gitward.broker.server.request_bodies import grant_continue, pieces, whole
from gitward.broker.wire.config import BrokerConfig
from gitward.broker.wire.target import Query, encode_query
from gitward.errors import PolicyDenied
from gitward.grants.grant import Grant


class LfsHandler:
    """Holds the run's signed addresses from its batch answers on."""

    def __init__(self, *, grant: Grant, config: BrokerConfig, forwarder: Forwarder) -> None:
        self._grant = grant
        self._config = config
        self._forwarder = forwarder
        self._actions = Actions(server_url=config.server_url, upstream_url=config.upstream_url)
        self._restriction: Restriction | None = None

    def restrict(self, restriction: Restriction) -> None:
        """From now on; addresses that were given out before are void."""
        self._restriction = restriction
        self._actions.forget()

    def forget(self) -> None:
        self._actions.forget()

    async def handle(
        self, request: BaseRequest, segments: Sequence[str], query: Query, onward: Onward, touch: Touch
    ) -> StreamResponse:
        """`onward` has the credential and the screen. Raises PolicyDenied and UpstreamFailed."""
        call = lfs.parse(request.method, segments, query)
        verdict = call if isinstance(call, Verdict) else lfs.check(call, self._grant)
        if self._restriction is not None:
            verdict = self._restricted(self._restriction, call, verdict, request.method)
        _require(verdict)
        assert isinstance(call, LfsCall)
        if call.call is Call.ACTION:
            return await self._transfer(request, call, touch)
        await grant_continue(request)
        path = lfs.upstream_path(call, self._grant)
        onward = replace(onward, url=f"{self._config.upstream_url}{path}{'?' if query else ''}{encode_query(query)}")
        onward = replace(onward, accepted=Accepted(header=lfs.MEDIA_TYPE, anything=True), content_type=lfs.MEDIA_TYPE)
        if verdict.rule == lfs.PUBLIC:
            hidden = functools.partial(lfs.hidden, call.repository, self._grant)
            onward = replace(onward, authorization=None, hidden=hidden)
        if call.call is Call.BATCH:
            onward = await self._batch(request, call, onward, touch)
        elif call.call is Call.VERIFY_LOCKS:
            asked = lfs.read_verification(await whole(request, touch))
            if isinstance(asked, Verdict):
                raise PolicyDenied(asked.rule, asked.message)
            onward = replace(onward, body=asked)
        return await self._forwarder.forward(request, onward, touch)

    def _restricted(self, restriction: Restriction, call: LfsCall | Verdict, verdict: Verdict, method: str) -> Verdict:
        if isinstance(call, Verdict) or not verdict.allowed:
            return restriction.refusal
        return restriction.lfs(call, method)

    async def _batch(self, request: BaseRequest, call: LfsCall, onward: Onward, touch: Touch) -> Onward:
        batch = lfs.read_batch(await whole(request, touch))
        if isinstance(batch, Verdict):
            raise PolicyDenied(batch.rule, batch.message)
        _require(lfs.check_operation(call, batch, self._grant))
        if self._restriction is not None:
            _require(self._restriction.lfs_batch(batch))
        rewrite = functools.partial(
            self._actions.rewritten,
            repository=call.repository,
            authorization=request.headers["Authorization"],
        )
        return replace(onward, body=batch.content, rewrite=rewrite)

    async def _transfer(self, request: BaseRequest, call: LfsCall, touch: Touch) -> StreamResponse:
        action = self._actions.take(call.key, call.repository, request.method)
        if action is None:
            raise PolicyDenied("lfs.address", "this address of an LFS object is unknown, used or expired")
        await grant_continue(request)
        body = None if request.method == "GET" else pieces(request, touch)
        return await self._forwarder.transfer(request, action, body, touch)


def _require(verdict: Verdict) -> None:
    """Raises PolicyDenied for a no."""
    if not verdict.allowed:
        raise PolicyDenied(verdict.rule, verdict.message)
