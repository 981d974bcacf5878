"""The upstream side: sends an allowed request on with the token, and streams the answer back."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import Response, StreamResponse
from yarl import URL

from gitward.broker.answers import MAX_SCREENED, Screen, decoded_answer
from gitward.broker.config import BrokerConfig
from gitward.broker.headers import request_headers, response_headers
from gitward.broker.listener import STALL_SECONDS, Touch
from gitward.errors import GitwardError

log = logging.getLogger(__name__)

_TIMEOUT = ClientTimeout(total=None, sock_connect=30, sock_read=STALL_SECONDS)
_MAX_HEADER = 64 * 1024  # bytes of one header line of an answer; GitHub's Content-Security-Policy is long
_AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")

Tap = Callable[[bytes], Awaitable[None]]


class UpstreamFailed(GitwardError):
    """GitHub could not be reached, or broke off before it answered."""


@dataclass(frozen=True, kw_only=True)
class Onward:
    """An allowed request as it goes upstream."""

    method: str
    url: str  # complete and encoded
    authorization: str = field(repr=False)
    body: AsyncIterator[bytes] | bytes | None = None
    length: int | None = None  # of a streamed body, when it is known; else chunked
    dropped: frozenset[str] = frozenset()  # request headers, in lower case, that must not go on
    screen: Screen
    screened: bool = True  # the answer is read whole; else only when it is an error or a redirect
    tap: Tap | None = None  # sees the pieces of a streamed answer before the sandbox does


class Forwarder:
    """One run's connections to GitHub."""

    def __init__(self, config: BrokerConfig, tls: ssl.SSLContext | None) -> None:
        self._config = config
        self._session = ClientSession(
            connector=TCPConnector(ssl=tls if tls is not None else True, limit=0),
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=_TIMEOUT,
            max_line_size=_MAX_HEADER,
            max_field_size=_MAX_HEADER,
            skip_auto_headers=_AUTOMATIC,
        )

    async def close(self) -> None:
        await self._session.close()

    async def forward(self, request: BaseRequest, onward: Onward, touch: Touch) -> StreamResponse:
        """Answers the sandbox with what upstream says. Raises UpstreamFailed before the answer has begun."""
        try:
            response = await self._session.request(
                onward.method,
                URL(onward.url, encoded=True),
                headers=self._headers(request, onward),
                data=onward.body,
                allow_redirects=False,
            )
        except (ClientError, TimeoutError, OSError) as error:
            log.warning("upstream failed: %s %s: %s", onward.method, onward.url, error)
            raise UpstreamFailed("GitHub could not be reached from the worker; try again later") from error
        touch()
        async with response:
            if onward.screened or response.status >= 300:
                return await self._screened(response, onward)
            return await self._streamed(request, response, onward, touch)

    def _headers(self, request: BaseRequest, onward: Onward) -> dict[str, str]:
        headers = {name.lower(): value for name, value in request_headers(request.headers.items()).items()}
        if onward.screened or onward.tap is not None:
            headers["accept-encoding"] = "identity"  # we must be able to read it
        for name in onward.dropped:
            headers.pop(name, None)
        headers["authorization"] = onward.authorization
        if onward.length is not None:
            headers["content-length"] = str(onward.length)
        return headers

    def _answer_headers(self, upstream: ClientResponse, onward: Onward) -> list[tuple[str, str]]:
        return onward.screen.headers(response_headers(upstream.headers.items(), self._config))

    async def _screened(self, upstream: ClientResponse, onward: Onward) -> StreamResponse:
        """An answer that is read whole. Raises UpstreamFailed when that cannot be."""
        body = bytearray()
        try:
            async for piece in upstream.content.iter_any():
                body += piece
                if len(body) > MAX_SCREENED:
                    raise UpstreamFailed(f"GitHub's answer is larger than {MAX_SCREENED} bytes")
            plain = decoded_answer(bytes(body), upstream.headers.get("Content-Encoding", "identity"))
        except (ClientError, TimeoutError, OSError, ValueError) as error:
            log.warning("an answer could not be read: %s %s: %s", onward.method, onward.url, error)
            raise UpstreamFailed("GitHub's answer could not be read") from error
        pairs = self._answer_headers(upstream, onward)
        headers = [(name, value) for name, value in pairs if name.lower() != "content-encoding"]
        answer = Response(
            status=upstream.status, reason=upstream.reason, headers=headers, body=onward.screen.body(plain)
        )
        if upstream.status in {204, 304}:
            answer.body = None
        return answer

    async def _streamed(
        self, request: BaseRequest, upstream: ClientResponse, onward: Onward, touch: Touch
    ) -> StreamResponse:
        headers = self._answer_headers(upstream, onward)
        answer = StreamResponse(status=upstream.status, reason=upstream.reason, headers=headers)
        length = upstream.headers.get("Content-Length")
        if length is not None:
            answer.content_length = int(length)
        else:
            answer.enable_chunked_encoding()  # git's GnuTLS wants an end that is not just a closed connection
        try:
            await answer.prepare(request)
            async for piece in upstream.content.iter_any():
                touch()
                if onward.tap is not None:
                    await onward.tap(piece)
                await answer.write(piece)
            await answer.write_eof()
        except (ClientError, TimeoutError, OSError) as error:
            log.warning("an answer was cut short: %s %s: %s", onward.method, onward.url, error)
            raise ConnectionAbortedError("the answer was cut short") from error
        return answer
