"""One run's requests to hosts for which the broker injects a secret."""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace

from aiohttp import ClientConnectorError, ClientError, ClientResponse, ClientSession, ClientTimeout
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import Response, StreamResponse
from multidict import CIMultiDict
from yarl import URL

from gitward.broker.policy import model_refusals
from gitward.broker.policy.inject.headers import answer_headers, request_headers
from gitward.broker.policy.inject.mask import StreamMask
from gitward.broker.policy.inject.paths import admitted
from gitward.broker.policy.model_refusals import ModelRefused
from gitward.broker.policy.models import api_of, model_in
from gitward.broker.policy.routes import Kind
from gitward.broker.policy.verdict import Verdict
from gitward.broker.server.forwarder import UpstreamFailed
from gitward.broker.server.inject.model_watch import ModelWatch, ModelWatches
from gitward.broker.server.listener import STALL_SECONDS, Touch
from gitward.broker.server.outgoing_route import Hop
from gitward.broker.server.refusals import SERVER
from gitward.broker.server.reporter import Reporter
from gitward.broker.server.request_bodies import grant_continue, pieces
from gitward.broker.server.upstream_session import open_session
from gitward.broker.wire.config import InjectConfig
from gitward.broker.wire.upstream import injected_value
from gitward.errors import PolicyDenied
from gitward.grants.endpoint import Address
from gitward.grants.model_budget import ModelBudget
from gitward.grants.model_calls import Api
from gitward.secrets import Secret
from gitward.web_proxy import Route

log = logging.getLogger(__name__)

_TIMEOUT = ClientTimeout(total=None, sock_connect=30, sock_read=STALL_SECONDS)
_MAX_HEADER = 64 * 1024  # bytes of one header line of an answer
_AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_BODILESS = frozenset({204, 304})
_NO_LIMIT = ModelBudget()


@dataclass(frozen=True, kw_only=True)
class _Exchange:
    """One request that goes on, and what is needed for its answer."""

    request: BaseRequest
    config: InjectConfig
    target: str
    headers: CIMultiDict[str]
    mask: StreamMask
    touch: Touch
    watch: ModelWatch | None = None  # when a model is asked for an answer


class InjectFailed(UpstreamFailed):
    """The host could not be asked."""


class InjectHandler:
    """Holds the secrets of one run from `open` to `close`."""

    def __init__(
        self,
        targets: Sequence[InjectConfig],
        secrets: Sequence[Secret | None],
        *,
        tls: ssl.SSLContext | None,
        reporter: Reporter,
        closed: Callable[[], Verdict | None] = lambda: None,
        route: Route | None = None,
        is_agent: bool = False,
        budget: ModelBudget = _NO_LIMIT,
    ) -> None:
        """`secrets` are those of `targets`, in their order; None stands for one that could not be read.

        :param is_agent: whether the hosts that are for agents only are open.
        :param closed: the refusal of a grant that leads to none of these hosts, else None.
        """
        self._targets = tuple(targets)
        self._secrets = list(secrets)
        self._tls = tls
        self._reporter = reporter
        self._closed = closed
        self._route = route or Route()
        self._is_agent = is_agent
        self._watches = ModelWatches(reporter, budget)
        self._client: ClientSession | None = None
        self._held_back = False
        self._reached: set[tuple[str, int]] = set()

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return tuple(secret for secret in self._secrets if secret is not None)

    def name(self, host: str) -> str:
        return host

    @property
    def accepted(self) -> None:
        """None is asked for: what authenticates there is put in here."""

    def hosts(self, port: int) -> tuple[str, ...]:
        return tuple(dict.fromkeys(target.host for target in self._targets if target.port == port))

    def kind(self, request: BaseRequest) -> Kind:
        del request
        return Kind.REST

    def tell_budget(self, budget: ModelBudget) -> None:
        """What limits the run's requests to models from now on."""
        self._watches.tell(budget)

    def hold_back(self, held: bool) -> None:
        """While it is held back, nothing leads to these hosts: what a repository's setup runs needs none of them."""
        self._held_back = held

    async def close(self) -> None:
        """Drops the secrets. Nothing is forwarded after it."""
        self._secrets = [None for _ in self._targets]
        if self._client is not None:
            await self._client.close()

    async def serve(self, request: BaseRequest, at: Address, touch: Touch) -> StreamResponse:
        """A request that the front door let in. Raises PolicyDenied and InjectFailed."""
        if not request.raw_path.startswith("/"):
            raise PolicyDenied("http.target", "the request target must be a path; no proxy requests")
        if (closed := self._closed()) is not None:
            raise PolicyDenied(closed.rule, closed.message)
        if self._held_back:
            raise PolicyDenied("inject.setup", f"{at.host} opens when the setup has ended; a setup gets no key")
        return await self._forward(request, at, touch)

    async def _forward(self, request: BaseRequest, at: Address, touch: Touch) -> StreamResponse:
        host, port = at.host, at.port
        chosen = [
            (config, secret)
            for config, secret in zip(self._targets, self._secrets, strict=True)
            if (config.host, config.port) == (host, port)
        ]
        self._require_agent(host, [config for config, _ in chosen])
        if any(request.path in config.absent for config, _ in chosen):
            return await _not_found(request)
        target = self._target(request, host, port)
        headers = request_headers(request.headers.items(), injected=[config.header for config, _ in chosen])
        for config, secret in chosen:
            if secret is None:
                raise InjectFailed(f"the secret for {host} could not be read; the service's log says why")
            headers[config.header] = injected_value(config.prefix, secret)
        headers["Host"] = host if port == 443 else f"{host}:{port}"
        headers["Accept-Encoding"] = "identity"  # we must be able to read the answer
        await grant_continue(request)
        exchange = _Exchange(
            request=request,
            config=chosen[0][0],
            target=target,
            headers=headers,
            mask=StreamMask([secret for _, secret in chosen if secret]),
            touch=touch,
        )
        api = api_of(request.method, target)
        return await (self._exchange(exchange) if api is None else self._watched(exchange, api))

    async def _watched(self, exchange: _Exchange, api: Api) -> StreamResponse:
        try:
            watch = await self._watches.new(api, exchange.config.host, model_in(exchange.target))
        except ModelRefused as refused:
            return await _refused(exchange.request, api, refused)
        try:
            return await self._exchange(replace(exchange, watch=watch))
        except InjectFailed as error:
            await watch.unreachable(str(error), was_asked=not isinstance(error.__cause__, ClientConnectorError))
            raise
        finally:
            await watch.hung_up()

    async def _exchange(self, exchange: _Exchange) -> StreamResponse:
        response = await self._ask(exchange)
        exchange.touch()
        host, port = exchange.config.host, exchange.config.port
        if (host, port) not in self._reached:
            self._reached.add((host, port))
            await self._reporter.opened(host=host, port=port)
        async with response:
            return await self._stream(exchange, response)

    def _require_agent(self, host: str, chosen: Sequence[InjectConfig]) -> None:
        """Raises PolicyDenied: a command would spend what the operator gave to agents."""
        if not self._is_agent and any(config.agents_only for config in chosen):
            raise PolicyDenied(
                "inject.agents", f"{host} is open to agents only: send a prompt, or name the host in GITWARD_INJECT"
            )

    def _target(self, request: BaseRequest, host: str, port: int) -> str:
        """The request target as it goes on. Raises PolicyDenied for a path that no entry of the host lists."""
        if "#" in request.raw_path:
            raise PolicyDenied("http.target", "a request target must not have a fragment")
        paths = [path for each in self._targets if (each.host, each.port) == (host, port) for path in each.paths]
        return admitted(request.raw_path, paths, host) if paths else request.raw_path

    async def _ask(self, exchange: _Exchange) -> ClientResponse:
        request, config, headers, watch = exchange.request, exchange.config, exchange.headers, exchange.watch
        length = request.content_length
        if length is not None:
            headers["Content-Length"] = str(length)
        url = config.upstream + exchange.target
        hop = Hop.to(url, self._route)
        body = pieces(request, exchange.touch)
        body = body if watch is None else watch.request(body)
        try:
            return await self._session().request(
                request.method,
                URL(url, encoded=True),
                headers=headers,
                data=body if request.body_exists else None,
                allow_redirects=False,
                server_hostname=config.host,
                proxy=hop.proxy,
                proxy_headers=hop.headers,
            )
        except (ClientError, TimeoutError, OSError) as error:
            blame = hop.failure(error)
            log.warning("%s could not be reached: %s", config.host, blame or type(error).__name__)
            reason = f": {blame}" if blame else "; try again later"
            raise InjectFailed(f"{config.host} could not be reached from the worker{reason}") from error

    def _session(self) -> ClientSession:
        if self._client is None:
            self._client = open_session(self._tls, timeout=_TIMEOUT, longest_header=_MAX_HEADER, left_out=_AUTOMATIC)
        return self._client

    async def _stream(self, exchange: _Exchange, response: ClientResponse) -> StreamResponse:
        """The answer as it comes, in its own length; a secret in it is masked, a header that holds one left out."""
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise InjectFailed("the host compressed its answer, which the broker had not accepted")
        mask, watch = exchange.mask, exchange.watch
        if watch is not None:
            watch.answers(response.status, response.headers.get("Content-Type", ""))
        answer = _head(response, mask)
        try:
            await answer.prepare(exchange.request)
            async for piece in _answered(response, exchange.touch, watch):
                if shown := mask.feed(piece):
                    await answer.write(shown)
                    if watch is not None:
                        await watch.passed(shown)
            if rest := mask.flush():
                await answer.write(rest)
                if watch is not None:
                    await watch.passed(rest)
            if watch is not None:
                await watch.end(ended=True)
            await answer.write_eof()
        except (ClientError, TimeoutError, OSError) as error:
            log.warning("an answer of a host of GITWARD_INJECT was cut short: %s", type(error).__name__)
            raise ConnectionAbortedError("the answer was cut short") from error
        return answer


async def _answered(response: ClientResponse, touch: Touch, watch: ModelWatch | None) -> AsyncIterator[bytes]:
    """The answer's pieces. When the host breaks off, the watch hears of it: an agent that hangs up is another thing."""
    try:
        async for piece in response.content.iter_any():
            touch()
            yield piece
    except (ClientError, TimeoutError, OSError):
        if watch is not None:
            await watch.end(ended=False)
        raise


async def _refused(request: BaseRequest, api: Api, refused: ModelRefused) -> StreamResponse:
    text = json.dumps(model_refusals.body(api, refused))
    headers = {"Server": SERVER}
    answer = Response(status=refused.status, text=text, content_type="application/json", headers=headers)
    await answer.prepare(request)
    await answer.write_eof()
    return answer


async def _not_found(request: BaseRequest) -> StreamResponse:
    """A refusal would be an event at each start of an agent, and be asked for again and again by it."""
    answer = Response(status=404, text="{}", content_type="application/json", headers={"Server": SERVER})
    await answer.prepare(request)
    await answer.write_eof()
    return answer


def _head(response: ClientResponse, mask: StreamMask) -> StreamResponse:
    headers = [pair for pair in answer_headers(response.headers.items()) if not mask.found_in(pair[1])]
    if "Server" not in response.headers:
        headers.append(("Server", SERVER))
    reason = None if mask.found_in(response.reason or "") else response.reason
    answer = StreamResponse(status=response.status, reason=reason, headers=headers)
    length = response.headers.get("Content-Length")
    if length is not None:
        answer.content_length = int(length)
    elif response.status not in _BODILESS:
        answer.enable_chunked_encoding()
    return answer
