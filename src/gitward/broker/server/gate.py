"""One run's door: every request of its sandbox comes here, is understood, checked, and forwarded or refused."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from aiohttp.web_request import BaseRequest
from aiohttp.web_response import Response, StreamResponse

from gitward.broker.policy import git, rest
from gitward.broker.policy.answers import Screen
from gitward.broker.policy.git import GitCall
from gitward.broker.policy.rest import RestRule
from gitward.broker.policy.restriction import Restriction, publishing, restriction_of
from gitward.broker.policy.routes import Kind, find, routes_of
from gitward.broker.policy.verdict import Verdict, deny
from gitward.broker.server.bodies import grant_continue, pieces, whole, whole_of_git
from gitward.broker.server.customs import Customs
from gitward.broker.server.forward import Forwarder, Onward, UpstreamFailed
from gitward.broker.server.framing import check_framing
from gitward.broker.server.graphql.door import GraphqlDoor
from gitward.broker.server.lfs_door import LfsDoor
from gitward.broker.server.listener import Touch
from gitward.broker.server.pushes import Pusher
from gitward.broker.server.questions import Questions
from gitward.broker.server.refusals import refusal
from gitward.broker.server.reporter import Reporter
from gitward.broker.server.trees import Trees
from gitward.broker.server.workflows import WorkflowRule
from gitward.broker.wire.advertisement import NoThin
from gitward.broker.wire.config import BrokerConfig
from gitward.broker.wire.credentials import presented
from gitward.broker.wire.ls_refs import VERSION, is_ls_refs
from gitward.broker.wire.target import Query, Target, encode_path, encode_query, parse_host, parse_path
from gitward.broker.wire.upstream import api_authorization, git_authorization, is_one_of
from gitward.errors import PolicyDenied
from gitward.grants import clock
from gitward.grants.grant import ExactPush, Grant
from gitward.secrets import Secret

log = logging.getLogger(__name__)

_CHALLENGE = {"WWW-Authenticate": 'Basic realm="GitHub"'}


class Gate:
    """Holds the token of one run from `open` to `close`."""

    def __init__(
        self,
        *,
        grant: Grant,
        config: BrokerConfig,
        credential: Secret,
        token: Secret,
        forwarder: Forwarder,
        reporter: Reporter,
        questions: Questions,
    ) -> None:
        self.grant = grant
        self._config = config
        self._credential = credential
        self._forwarder = forwarder
        self._reporter = reporter
        self._routes = routes_of(config)
        self._graphql_door = GraphqlDoor(grant=grant, config=config, forwarder=forwarder)
        self._lfs_door = LfsDoor(grant=grant, config=config, forwarder=forwarder)
        customs = Customs(run_id=grant.run_id, questions=questions, rule=WorkflowRule(grant, Trees(self._look_up)))
        self._looks = not grant.allow_workflows
        self._pusher = Pusher(forwarder=forwarder, reporter=reporter, customs=customs if self._looks else None)
        self._tokens: list[Secret] = []
        self._restriction: Restriction | None = None
        if (restriction := restriction_of(grant)) is not None:
            self._restrict(restriction)
        self.refresh(token)

    def refresh(self, token: Secret) -> None:
        """The newest token goes upstream; in login mode the sandbox may still present an older one of this run."""
        if token not in self._tokens:
            self._tokens.append(token)
        self._current = self._tokens.index(token)  # not always the last one: the operator may go back to one before
        self._reporter.know(self.secrets)
        self._screen = self._new_screen()

    def narrow(self, push: ExactPush) -> bool:
        """Takes every right but this push. Whether that changed anything. Raises ValueError."""
        restriction = publishing(self.grant, push)
        if restriction == self._restriction:
            return False
        self._restrict(restriction)
        self._screen = self._new_screen()
        return True

    def _restrict(self, restriction: Restriction) -> None:
        self._restriction = restriction
        self._lfs_door.restrict(restriction)
        self._pusher.restrict(restriction)
        self._looks = False

    @property
    def closed(self) -> Verdict | None:
        """The refusal of everything that is neither git nor LFS, when the grant is restricted."""
        return None if self._restriction is None else self._restriction.refusal

    @property
    def _token_opens(self) -> bool:
        """Whether the sandbox has the token itself, and presents it."""
        return self._config.login_mode and self._restriction is None

    def _new_screen(self) -> Screen:
        """In login mode the sandbox has the first token anyway, and tools compare what they get."""
        return Screen(self._tokens[1:] if self._token_opens else self._tokens)

    @property
    def _token(self) -> Secret:
        """What goes upstream."""
        return self._tokens[self._current]

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return (self._credential, *self._tokens)

    def forget(self) -> None:
        """Drops the token. Nothing can be forwarded after it."""
        self._tokens.clear()
        self._lfs_door.forget()
        self._screen = Screen([])
        self._reporter.know([])

    async def handle(self, request: BaseRequest, touch: Touch, *, port: int) -> StreamResponse:
        """Answers every request; an error of our own is a 500 that says nothing about its cause."""
        kind = self._likely_kind(request)
        try:
            check_framing(request)
            host = self._host(request, port)
            segments, query = parse_path(request.raw_path)
            target = Target(host=host, segments=segments, query=query)
            kind = self._kind(target)
            return await self._in_time(request, target, touch)
        except OSError:
            raise  # the sandbox's connection is gone, or must go
        except Exception as error:  # the edge of the process: report, answer, go on for other runs
            if request.writer.output_size > 0:
                raise ConnectionAbortedError("half an answer must not be continued by another") from error
            return await self._explain(request, kind, error)

    async def malformed(self) -> None:
        """Tells of a request that the HTTP parser refused."""
        await self._reporter.denied(deny("http.malformed", "a request must be well-formed HTTP/1.1"), "a request")

    async def _explain(self, request: BaseRequest, kind: Kind, error: Exception) -> Response:
        if isinstance(error, UpstreamFailed):
            return refusal(kind, 502, str(error))
        if isinstance(error, PolicyDenied):
            status = 400 if error.rule.startswith("http.") else 403
            return await self._refuse(request, kind, status, deny(error.rule, error.message))
        log.error("a request of run %s failed", self.grant.run_id, exc_info=error)
        return refusal(kind, 500, "the broker failed on this request; the service's log says why")

    def _host(self, request: BaseRequest, port: int) -> str:
        here = tuple(address.host for address in self._config.addresses if address.port == port)
        return parse_host(request.headers.getall("Host", []), port=port, hosts=here)

    def _likely_kind(self, request: BaseRequest) -> Kind:
        """Whose form a refusal takes when the request cannot be understood. Nothing else may depend on it."""
        host = request.headers.get("Host", "").partition(":")[0].lower()
        segments = request.raw_path.partition("?")[0].removeprefix("/").split("/")
        return self._kind(Target(host=host, segments=tuple(segments)))

    def _kind(self, target: Target) -> Kind:
        found = find(self._routes, target)
        return found[0] if found else Kind.GIT

    async def _in_time(self, request: BaseRequest, target: Target, touch: Touch) -> StreamResponse:
        limit = asyncio.timeout(max(0.0, self.grant.expires_at - clock.seconds()))
        try:
            async with limit:
                if clock.seconds() < self.grant.expires_at:
                    return await self._admit(request, target, touch)
        except TimeoutError:
            if not limit.expired():
                raise
        raise PolicyDenied("expired", "this session's access to GitHub has ended")

    async def _admit(self, request: BaseRequest, target: Target, touch: Touch) -> StreamResponse:
        found = find(self._routes, target)
        if found is None:
            raise PolicyDenied("http.path", "nothing of this host can be reached under this path")
        kind, segments = found
        refused = await self._authenticate(request, kind)
        if refused is not None:
            return refused
        answer = await self._serve(request, kind, segments, target.query, touch)
        if answer.status == 401:
            await self._reporter.rejected()
        return answer

    async def _serve(
        self, request: BaseRequest, kind: Kind, segments: Sequence[str], query: Query, touch: Touch
    ) -> StreamResponse:
        if kind is Kind.GIT:
            return await self._git(request, segments, query, touch)
        if kind is Kind.LFS:
            return await self._lfs_door.handle(request, segments, query, self._onward(request, git=True), touch)
        if self.closed is not None:
            return await self._refuse(request, kind, 403, self.closed)
        if kind is Kind.REST:
            return await self._rest(request, segments, query, touch)
        return await self._graphql_door.handle(request, query, self._onward(request), touch)

    async def _authenticate(self, request: BaseRequest, kind: Kind) -> Response | None:
        challenge = _CHALLENGE if kind in {Kind.GIT, Kind.LFS} else None
        given = presented(request.headers.get("Authorization"))
        if given is None:
            return refusal(kind, 401, "requires authentication with the session's credential", challenge)
        accepted = self._tokens if self._token_opens else [self._credential]
        if is_one_of(given, accepted):
            return None
        verdict = deny("credential", "this is not the credential of this session")
        await self._reporter.denied(verdict, _asked(request))
        return refusal(kind, 401, verdict.message, challenge)

    async def _git(self, request: BaseRequest, segments: Sequence[str], query: Query, touch: Touch) -> StreamResponse:
        call = git.parse(request.method, segments, query)
        verdict = self._judged(call)
        if isinstance(call, Verdict) or not verdict.allowed:
            return await self._refuse(request, Kind.GIT, 403, verdict)
        await grant_continue(request)
        onward = Onward(
            method=request.method,
            url=self._config.upstream_url + git.upstream_path(call, self.grant),
            authorization=git_authorization(self._token),
            body=None if call.advertisement else pieces(request, touch),
            length=None if call.advertisement else request.content_length,
            screen=self._screen,
            screened=False,
        )
        if verdict.rule == git.PUBLIC:
            onward = replace(onward, authorization=None, hidden=partial(git.hidden, call.repository, self.grant))
        if self._restriction is not None and self._restriction.lists_only and _is_fetch(call):
            return await self._list(request, onward, self._restriction, touch)
        if call.service is git.Service.PUSH and not call.advertisement:
            return await self._pusher.push(request, self.grant, onward, touch)
        if call.service is git.Service.PUSH and self._looks:
            onward = replace(onward, edit=NoThin())
        return await self._forwarder.forward(request, onward, touch)

    def _judged(self, call: GitCall | Verdict) -> Verdict:
        verdict = call if isinstance(call, Verdict) else git.check(call, self.grant)
        if self._restriction is None:
            return verdict
        if isinstance(call, Verdict) or not verdict.allowed:
            return self._restriction.refusal
        return self._restriction.git(call)

    async def _list(
        self, request: BaseRequest, onward: Onward, restriction: Restriction, touch: Touch
    ) -> StreamResponse:
        """A question of protocol v2 for refs goes on as it was read; a fetch does not."""
        body = await whole_of_git(request, touch)
        if request.headers.getall("Git-Protocol", []) != [VERSION] or not is_ls_refs(body):
            return await self._refuse(request, Kind.GIT, 403, restriction.refusal)
        onward = replace(onward, body=body, length=len(body), dropped=frozenset({"content-encoding"}))
        return await self._forwarder.forward(request, onward, touch)

    async def _look_up(self, path: str) -> bytes | None:
        """A question of our own about the repository. Raises UpstreamFailed."""
        url = f"{self._config.upstream_api_url}/repos/{self.grant.repository}{path}"
        authorization = api_authorization(self._token)
        return await self._forwarder.look_up(
            Onward(method="GET", url=url, authorization=authorization, screen=self._screen)
        )

    async def _rest(self, request: BaseRequest, segments: Sequence[str], query: Query, touch: Touch) -> StreamResponse:
        call = rest.find(request.method, segments, query, self.grant)
        if isinstance(call, Verdict):
            return await self._refuse(request, Kind.REST, rest.refusal_status(segments), call)
        await grant_continue(request)
        body = await self._rest_body(request, call.rule, touch)
        if isinstance(body, Verdict):
            return await self._refuse(request, Kind.REST, 403, body)
        url = self._config.upstream_api_url + encode_path(call.segments)
        onward = replace(self._onward(request), url=f"{url}?{encode_query(query)}" if query else url, body=body)
        return await self._forwarder.deliver(request, partial(self._forwarder.forward, request, onward, touch), touch)

    async def _rest_body(self, request: BaseRequest, rule: RestRule, touch: Touch) -> bytes | Verdict | None:
        if not rule.body:
            return None  # whatever was sent is not sent on
        if request.content_type != "application/json" or (request.charset or "utf-8").lower() != "utf-8":
            return deny(rule.name, "the body must be application/json in UTF-8")
        return rest.check_body(rule, await whole(request, touch), self.grant)

    def _onward(self, request: BaseRequest, *, git: bool = False) -> Onward:
        """The request as it goes on, without an address yet."""
        authorization = git_authorization if git else api_authorization
        return Onward(method=request.method, url="", authorization=authorization(self._token), screen=self._screen)

    async def _refuse(self, request: BaseRequest, kind: Kind, status: int, verdict: Verdict) -> Response:
        await self._reporter.denied(verdict, _asked(request))
        return refusal(kind, status, verdict.message)


def _is_fetch(call: GitCall) -> bool:
    return call.service is git.Service.FETCH and not call.advertisement


def _asked(request: BaseRequest) -> str:
    return f"{request.method} {request.headers.get('Host', '')}{request.raw_path}"[:200]
