"""GraphQL requests of one run: parses, checks and looks them up, and forwards what it parsed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from aiohttp.web_request import BaseRequest
from aiohttp.web_response import Response, StreamResponse

from gitward.broker.policy.accept import Accepted
from gitward.broker.policy.graphql import document, opened, request, scopes
from gitward.broker.policy.graphql.document import Reading
from gitward.broker.server.forwarder import Forwarder, Onward, UpstreamFailed
from gitward.broker.server.graphql.node_ids import NodeIds
from gitward.broker.server.listener import Touch
from gitward.broker.server.own_writes import OwnWrites
from gitward.broker.server.refusals import SERVER
from gitward.broker.server.request_bodies import grant_continue, whole
from gitward.broker.wire.config import BrokerConfig
from gitward.broker.wire.target import Query
from gitward.errors import PolicyDenied
from gitward.grants.grant import Grant


class GraphqlHandler:
    """Remembers the run's node ids."""

    def __init__(self, *, grant: Grant, config: BrokerConfig, forwarder: Forwarder, writes: OwnWrites) -> None:
        self._writes = writes
        self._grant = grant
        self._url = config.upstream_graphql_url
        self._forwarder = forwarder
        self._short_of_scopes = False  # whether the token turned out to be
        self._ids = NodeIds(grant=grant, forwarder=forwarder, url=self._url, writes=writes)

    async def handle(self, asked: BaseRequest, query: Query, onward: Onward, touch: Touch) -> StreamResponse:
        """`onward` has the credential and the screen. Raises PolicyDenied and UpstreamFailed."""
        json = asked.content_type == "application/json" and (asked.charset or "utf-8").lower() == "utf-8"
        if asked.method != "POST" or query or not json:
            raise PolicyDenied("graphql.malformed", "GraphQL needs a POST with application/json in UTF-8")
        await grant_continue(asked)
        parsed = request.read(await whole(asked, touch))
        reading = document.read(parsed, self._grant)
        if reading.ids:
            await self._ids.require(reading, onward)
            touch()
        if (refused := await self._writes.not_people(reading.logins)) is not None:
            raise PolicyDenied(refused.rule, refused.message)
        onward = replace(onward, url=self._url, accepted=Accepted())
        return await self._forwarder.deliver(asked, partial(self._forward, asked, reading, onward, touch), touch)

    async def _forward(self, asked: BaseRequest, reading: Reading, onward: Onward, touch: Touch) -> StreamResponse:
        content = reading.content
        if self._short_of_scopes:
            if (none := scopes.no_teams(content)) is not None:
                return _answer(none)
            content = scopes.without_teams(content) or content
        answer = await self._forwarder.forward(asked, replace(onward, body=content), touch)
        if reading.opens:
            return await self._noted(answer)
        if self._short_of_scopes or reading.rule != "graphql.query" or not _is_short(answer):
            return answer
        none, shorter = scopes.no_teams(content), scopes.without_teams(content)
        if none is not None:
            self._short_of_scopes = True
            return _answer(none)
        if shorter is None:
            return answer
        self._short_of_scopes = True
        return await self._forwarder.forward(asked, replace(onward, body=shorter), touch)

    async def _noted(self, answer: StreamResponse) -> StreamResponse:
        """The answer as the sandbox may see it; which issues were opened is noted before. Raises UpstreamFailed."""
        if not isinstance(answer, Response) or not isinstance(answer.body, bytes) or answer.status != 200:
            return answer
        try:
            answer.body, numbers = opened.take(answer.body, self._grant.repository)
        except (ValueError, RecursionError) as error:
            raise UpstreamFailed("GitHub's answer could not be read") from error
        await self._writes.opened(*numbers)
        return answer


def _answer(body: bytes) -> Response:
    return Response(body=body, headers={"Content-Type": "application/json; charset=utf-8", "Server": SERVER})


def _is_short(answer: StreamResponse) -> bool:
    body = answer.body if isinstance(answer, Response) else None
    return isinstance(body, bytes) and scopes.is_short_of_scopes(body)
