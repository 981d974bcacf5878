"""The front door of a run: it checks every request of the run's sandboxes, and passes it to the part behind it.

Rules for every request are here, once: framing, host, deadline, authentication, errors, refusals. Behind the door are
GitHub (git, REST, GraphQL, LFS) and the hosts of GITWARD_INJECT.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from aiohttp.web_request import BaseRequest
from aiohttp.web_response import Response, StreamResponse

from gitward.broker.policy.routes import Kind
from gitward.broker.policy.verdict import deny
from gitward.broker.server.forwarder import UpstreamFailed
from gitward.broker.server.framing import check_framing
from gitward.broker.server.listener import Touch
from gitward.broker.server.refusals import Refused, refusal
from gitward.broker.server.reporter import Reporter
from gitward.broker.wire.credentials import presented
from gitward.broker.wire.target import parse_host
from gitward.broker.wire.upstream import is_one_of
from gitward.errors import PolicyDenied
from gitward.grants import clock
from gitward.grants.endpoint import Address
from gitward.secrets import Secret

log = logging.getLogger(__name__)

# Of refusals with these statuses.
_HEADERS = {401: {"WWW-Authenticate": 'Basic realm="GitHub"'}, 426: {"Upgrade": "HTTP/1.1"}}
_CHALLENGED = frozenset({Kind.GIT, Kind.LFS})  # git asks its helper for a credential when it is challenged


class Hosts(Protocol):
    """What stands behind the door under some hosts."""

    def name(self, host: str) -> str:
        """As a sentence calls it: "GitHub"."""
        ...

    @property
    def accepted(self) -> Sequence[Secret] | None:
        """The credentials of which a request must present one; None: it needs none."""
        ...

    def hosts(self, port: int) -> tuple[str, ...]:
        """The names under which it is reached at this port."""
        ...

    def kind(self, request: BaseRequest) -> Kind:
        """Whose form a refusal takes; the request may be nonsense. Nothing else may depend on it."""
        ...

    async def serve(self, request: BaseRequest, at: Address, touch: Touch) -> StreamResponse:
        """Answers a request for one of its hosts. Raises PolicyDenied and UpstreamFailed."""
        ...


class Dispatcher:
    """Answers every request of one run; an error of our own is a 500 that says nothing about its cause."""

    def __init__(
        self,
        *,
        run_id: str,
        behind: Sequence[Hosts],
        reporter: Reporter,
        expires_at: float,
        held: Callable[[], bool],
    ) -> None:
        """The last of `behind` answers for hosts that nobody has.

        :param expires_at: on `grants.clock`; after it everything is refused.
        :param held: whether the worker's lease is.
        """
        self._run_id = run_id
        self._behind = tuple(behind)
        self._reporter = reporter
        self._expires_at = expires_at
        self._held = held

    async def handle(self, request: BaseRequest, touch: Touch, *, port: int) -> StreamResponse:
        if not self._held():  # this process was stopped too, and wakes up with requests before it
            raise ConnectionAbortedError("the worker's lease is over")
        behind = self._choose(request, port)
        kind = behind.kind(request)
        try:
            check_framing(request)
            host = parse_host(request.headers.getall("Host", []), port=port, hosts=behind.hosts(port))
            async with self._in_time(behind.name(host)):
                _authenticate(request, behind.accepted)
                return await behind.serve(request, Address(host=host, port=port), touch)
        except OSError:
            raise  # the sandbox's connection is gone, or must go
        except Exception as error:  # the edge of the process: report, answer, go on
            if request.writer.output_size > 0:
                raise ConnectionAbortedError("half an answer must not be continued by another") from error
            return await self._explain(request, kind, error)

    async def malformed(self) -> None:
        """Tells of a request that the HTTP parser refused."""
        await self._reporter.denied(deny("http.malformed", "a request must be well-formed HTTP/1.1"), "a request")

    def _choose(self, request: BaseRequest, port: int) -> Hosts:
        """By a host that may be nonsense: `parse_host` decides whether it is one of these."""
        values = request.headers.getall("Host", [])
        asked = values[0].partition(":")[0].lower() if len(values) == 1 else ""
        return next((each for each in self._behind if asked in each.hosts(port)), self._behind[-1])

    @contextlib.asynccontextmanager
    async def _in_time(self, name: str) -> AsyncIterator[None]:
        limit = asyncio.timeout(max(0.0, self._expires_at - clock.seconds()))
        try:
            async with limit:
                if clock.seconds() >= self._expires_at:
                    raise PolicyDenied("expired", f"this session's access to {name} has ended")
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            raise PolicyDenied("expired", f"this session's access to {name} has ended") from None

    async def _explain(self, request: BaseRequest, kind: Kind, error: Exception) -> Response:
        if isinstance(error, UpstreamFailed):
            return refusal(kind, 502, str(error))
        if isinstance(error, PolicyDenied):
            return await self._refuse(request, kind, error)
        log.error("a request of run %s failed", self._run_id, exc_info=error)
        return refusal(kind, 500, "the broker failed on this request; the service's log says why")

    async def _refuse(self, request: BaseRequest, kind: Kind, denied: PolicyDenied) -> Response:
        status = 400 if denied.rule.startswith("http.") else 403
        if isinstance(denied, Refused):
            status = denied.status
        if denied.rule != _ASKED:
            await self._reporter.denied(deny(denied.rule, denied.message), _asked(request))
        challenged = status != 401 or kind in _CHALLENGED
        answer = refusal(kind, status, denied.message, _HEADERS.get(status) if challenged else None)
        if status == 426:
            answer.force_close()  # what follows may be of another protocol
        return answer


_ASKED = "credential.none"  # no refusal: tools ask without a credential first


def _authenticate(request: BaseRequest, accepted: Sequence[Secret] | None) -> None:
    if accepted is None:
        return
    given = presented(request.headers.get("Authorization"))
    if given is None:
        raise Refused(_ASKED, "requires authentication with the session's credential", status=401)
    if not is_one_of(given, accepted):
        raise Refused("credential", "this is not the credential of this session", status=401)


def _asked(request: BaseRequest) -> str:
    return f"{request.method} {request.headers.get('Host', '')}{request.raw_path}"[:200]
