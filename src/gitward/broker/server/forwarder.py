"""The upstream side: forwards an allowed request with the token, and streams the answer back."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import ClientError, ClientResponse, ClientTimeout
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import Response, StreamResponse
from yarl import URL

from gitward.broker.policy.accept import ANYTHING, Accepted
from gitward.broker.policy.answers import MAX_SCREENED, Form, Screen, UnfitAnswer, decoded_answer
from gitward.broker.policy.headers import request_headers, response_headers
from gitward.broker.policy.routes import Kind
from gitward.broker.server.lfs_actions import Action
from gitward.broker.server.listener import STALL_SECONDS, Touch
from gitward.broker.server.outgoing_route import Hop
from gitward.broker.server.refusals import SERVER, refusal
from gitward.broker.server.upstream_session import open_session
from gitward.broker.wire.advertisement import NoThin
from gitward.broker.wire.config import BrokerConfig
from gitward.errors import GitwardError, PolicyDenied
from gitward.web_proxy import Route

log = logging.getLogger(__name__)

_TIMEOUT = ClientTimeout(total=None, sock_connect=30, sock_read=STALL_SECONDS)
_WHOLE = 8  # large answers that are held whole at the same time, for one run
_PIECE = 64 * 1024  # bytes of such an answer that are sent at once: TLS takes any single piece without a wait
_MAX_HEADER = 64 * 1024  # bytes of one header line of an answer; GitHub's Content-Security-Policy is long
_AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")

_OWN_QUESTION = {  # GitHub refuses a request without User-Agent
    "accept": "application/vnd.github+json",
    "content-type": "application/json",
    "user-agent": SERVER,
    "x-github-api-version": "2022-11-28",
}
_HIDDEN = frozenset({401, 403, 404})  # how GitHub answers anybody about what is not public
_BODILESS = frozenset({204, 205, 304})
_ABSENT = frozenset({404, 409})  # unknown; and there is nothing at all, as in an empty repository

# What a storage must know of a transfer, and the sandbox of its answer.
_STORAGE_REQUEST = frozenset({"accept", "content-length", "content-type", "range"})
_STORAGE_ANSWER = frozenset({"accept-ranges", "content-encoding", "content-range", "content-type"})

Body = AsyncIterator[bytes] | AsyncIterator[bytes | memoryview] | bytes | None
Tap = Callable[[bytes], Awaitable[None]]


Hidden = Callable[[int], PolicyDenied]  # from the status of the answer


class UpstreamFailed(GitwardError):
    """GitHub could not be reached, or broke off before it answered."""


@dataclass(frozen=True, kw_only=True)
class Onward:
    """An allowed request as it goes upstream."""

    method: str
    url: str  # complete and encoded
    authorization: str | None = field(repr=False)  # None: as anybody
    body: Body = None
    length: int | None = None  # of a streamed body, when it is known; else chunked
    content_type: str = "application/json"  # of a body that is not streamed: it was written here
    dropped: frozenset[str] = frozenset()  # request headers, in lower case, that must not go on
    accepted: Accepted = ANYTHING  # in which form the answer may come
    screen: Screen
    screened: bool = True  # the answer is read whole; else only an error, a redirect, and what is not git's own
    rewrite: Callable[[bytes], bytes] | None = None  # of a screened answer with status 200; raises ValueError
    tap: Tap | None = None  # sees the pieces of a streamed answer before the sandbox does
    edit: NoThin | None = None  # changes them
    hidden: Hidden | None = None  # what to raise when GitHub does not show it to anybody


class Forwarder:
    """One run's connections to GitHub."""

    def __init__(self, config: BrokerConfig, tls: ssl.SSLContext | None, route: Route) -> None:
        self._config = config
        self._route = route
        self._whole = asyncio.Semaphore(_WHOLE)
        self._session = open_session(tls, timeout=_TIMEOUT, longest_header=_MAX_HEADER, left_out=_AUTOMATIC)

    async def close(self) -> None:
        await self._session.close()

    async def forward(self, request: BaseRequest, onward: Onward, touch: Touch) -> StreamResponse:
        """Answers the sandbox with what upstream says. Raises UpstreamFailed, and `hidden`, before that has begun."""
        response = await self._request(onward.method, onward.url, self._headers(request, onward), onward.body)
        touch()
        async with response:
            if onward.hidden is not None and (300 <= response.status < 400 or response.status in _HIDDEN):
                raise onward.hidden(response.status)
            if onward.screened or response.status >= 300 or not _is_gits(response):
                return await self._screened(response, onward)
            headers = self._answer_headers(response, onward)
            return await self._streamed(request, response, headers, touch, tap=onward.tap, edit=onward.edit)

    async def deliver(
        self, request: BaseRequest, answering: Callable[[], Awaitable[StreamResponse]], touch: Touch
    ) -> StreamResponse:
        """The answer, which is read whole, once the sandbox has taken nearly all of it; the next ones wait for that."""
        async with self._whole:
            whole = await answering()
            if not isinstance(whole, Response) or not isinstance(whole.body, bytes) or len(whole.body) <= _PIECE:
                return whole
            answer = StreamResponse(status=whole.status, reason=whole.reason, headers=whole.headers)
            answer.content_length = len(whole.body)
            await answer.prepare(request)
            for start in range(0, len(whole.body), _PIECE):
                await answer.write(whole.body[start : start + _PIECE])
                touch()
            await answer.write_eof()
            return answer

    async def transfer(
        self, request: BaseRequest, action: Action, body: AsyncIterator[bytes] | None, touch: Touch
    ) -> StreamResponse:
        """Streams one LFS object to or from its storage, which never sees a token of ours, nor the sandbox its answer
        to a refusal: that may repeat the signature."""
        response = await self._request(request.method, action.href, _storage_headers(request, action), body)
        touch()
        async with response:
            if response.status not in {200, 201, 202, 204, 206}:
                log.warning("the storage of an LFS object answered %d to an %s", response.status, action.name)
                raise UpstreamFailed(f"the storage of the LFS object answered {response.status}")
            pairs = response.headers.items()
            headers = [(name, value) for name, value in pairs if name.lower() in _STORAGE_ANSWER]
            return await self._streamed(request, response, [*headers, ("Server", SERVER)], touch)

    async def fetch(self, onward: Onward) -> bytes:
        """A question of our own: the body of its answer. Raises UpstreamFailed, also for another status than 200."""
        body = await self.look_up(onward, absent=frozenset())
        assert body is not None
        return body

    async def look_up(self, onward: Onward, absent: frozenset[int] = _ABSENT) -> bytes | None:
        """The same; None when the answer says that there is no such thing."""
        assert onward.authorization is not None
        headers = {**_OWN_QUESTION, "authorization": onward.authorization}
        response = await self._request(onward.method, onward.url, headers, onward.body)
        async with response:
            body = await self._read(response, onward)
            if response.status in absent:
                return None
            if response.status != 200:
                raise UpstreamFailed(f"GitHub answered {response.status} to a request of the broker")
            return body

    async def _request(self, method: str, url: str, headers: Mapping[str, str], body: Body) -> ClientResponse:
        hop = Hop.to(url, self._route)
        if body is None:  # a length without a body would have upstream take the next request for one
            headers = {name: value for name, value in headers.items() if name.lower() != "content-length"}
        try:
            return await self._session.request(
                method,
                URL(url, encoded=True),
                headers=headers,
                data=body,
                allow_redirects=False,
                proxy=hop.proxy,
                proxy_headers=hop.headers,
            )
        except (ClientError, TimeoutError, OSError) as error:
            if isinstance(error.__cause__, PolicyDenied):
                raise error.__cause__ from None  # not upstream's fault: the sandbox's body broke on its way
            blame = hop.failure(error)
            told = f"{type(error).__name__}, {blame}" if blame else type(error).__name__
            log.warning("upstream failed: %s %s: %s", method, url.partition("?")[0], told)
            reason = f": {blame}" if blame else "; try again later"
            raise UpstreamFailed(f"GitHub could not be reached from the worker{reason}") from error

    def _headers(self, request: BaseRequest, onward: Onward) -> dict[str, str]:
        headers = {name.lower(): value for name, value in request_headers(request.headers.items()).items()}
        headers["accept"] = onward.accepted.header
        if onward.screened or onward.tap is not None or onward.edit is not None:
            headers["accept-encoding"] = "identity"  # we must be able to read it
        for name in onward.dropped:
            headers.pop(name, None)
        if onward.authorization is not None:
            headers["authorization"] = onward.authorization
        if onward.length is not None:
            headers["content-length"] = str(onward.length)
        if isinstance(onward.body, bytes):
            headers["content-type"] = onward.content_type
        return headers

    def _answer_headers(self, upstream: ClientResponse, onward: Onward) -> list[tuple[str, str]]:
        headers = onward.screen.headers(response_headers(upstream.headers.items(), self._config))
        if "Server" not in upstream.headers:
            headers.append(("Server", SERVER))  # else aiohttp names itself and its version
        return headers

    async def _screened(self, upstream: ClientResponse, onward: Onward) -> StreamResponse:
        """An answer that is read whole. Raises UpstreamFailed when that cannot be, or when it cannot be passed on."""
        plain = await self._read(upstream, onward)
        pairs = self._answer_headers(upstream, onward)
        headers = [(name, value) for name, value in pairs if name.lower() != "content-encoding"]
        if upstream.status in _BODILESS or (upstream.status == 202 and not plain):
            return Response(status=upstream.status, reason=upstream.reason, headers=headers)
        try:
            body = onward.screen.body(plain, _form(upstream, onward))
        except UnfitAnswer as error:
            log.warning("an answer is not forwarded: %s %s: %s", onward.method, onward.url.partition("?")[0], error)
            if upstream.status < 300:
                raise UpstreamFailed(str(error)) from error
            return _without_body(upstream.status, headers, error)
        return Response(status=upstream.status, reason=upstream.reason, headers=headers, body=body)

    async def _read(self, upstream: ClientResponse, onward: Onward) -> bytes:
        body = bytearray()
        try:
            async for piece in upstream.content.iter_any():
                body += piece
                if len(body) > MAX_SCREENED:
                    raise UpstreamFailed(f"GitHub's answer is larger than {MAX_SCREENED} bytes")
            plain = decoded_answer(bytes(body), _encoding(upstream))
            return onward.rewrite(plain) if onward.rewrite is not None and upstream.status == 200 else plain
        except (ClientError, TimeoutError, OSError, ValueError) as error:
            log.warning("an answer could not be read: %s %s: %s", onward.method, onward.url, error)
            raise UpstreamFailed("GitHub's answer could not be read") from error

    async def _streamed(
        self,
        request: BaseRequest,
        upstream: ClientResponse,
        headers: list[tuple[str, str]],
        touch: Touch,
        *,
        tap: Tap | None = None,
        edit: NoThin | None = None,
    ) -> StreamResponse:
        answer = StreamResponse(status=upstream.status, reason=upstream.reason, headers=headers)
        length = upstream.headers.get("Content-Length")
        if length is not None and edit is None:
            answer.content_length = int(length)
        elif upstream.status != 204:
            answer.enable_chunked_encoding()  # git's GnuTLS wants an end that is not just a closed connection
        try:
            await answer.prepare(request)
            async for piece in upstream.content.iter_any():
                touch()
                if tap is not None:
                    await tap(piece)
                await answer.write(piece if edit is None else edit.feed(piece))
            await answer.write_eof(b"" if edit is None else edit.end())
        except (ClientError, TimeoutError, OSError) as error:
            log.warning("an answer was cut short: %s: %s", upstream.method, type(error).__name__)
            raise ConnectionAbortedError("the answer was cut short") from error
        return answer


def _encoding(upstream: ClientResponse) -> str:
    return ", ".join(upstream.headers.getall("Content-Encoding", ["identity"])).lower()


def _form(upstream: ClientResponse, onward: Onward) -> Form:
    """What the answer is. Raises UnfitAnswer when that is not what was asked for."""
    form = Form.of(upstream.headers.getall("Content-Type", []))
    if onward.accepted.fits(form.content_type):
        return form
    raise UnfitAnswer(f"GitHub's answer is not JSON: its type is {form.content_type[:60] or 'missing'}")


def _without_body(status: int, headers: Sequence[tuple[str, str]], error: UnfitAnswer) -> Response:
    """GitHub's status and headers, which say what to do next, and a sentence of ours."""
    answer = refusal(Kind.REST, status, str(error))
    kept = [(name, value) for name, value in headers if name.lower() not in {"content-type", "server"}]
    answer.headers.extend(kept)
    return answer


def _is_gits(response: ClientResponse) -> bool:
    """Whether the answer is of git's protocol. Anything else may repeat what it was asked with."""
    return response.content_type.startswith("application/x-git-")


def _storage_headers(request: BaseRequest, action: Action) -> dict[str, str]:
    """The action's own headers, and of the sandbox's those that say which bytes are meant."""
    headers = {name.lower(): value for name, value in request.headers.items() if name.lower() in _STORAGE_REQUEST}
    return {"accept-encoding": "identity", **headers, **action.headers}
