"""GitHub, behind the front door: parses and checks each request, and forwards or refuses it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from aiohttp.web_request import BaseRequest
from aiohttp.web_response import StreamResponse

from gitward.broker.policy import git, rest
from gitward.broker.policy.accept import accepted
from gitward.broker.policy.answers import Screen
from gitward.broker.policy.git import GitCall
from gitward.broker.policy.rest import RestCall, RestRule
from gitward.broker.policy.restriction import Restriction, publishing, restriction_of
from gitward.broker.policy.routes import Kind, find, routes_of
from gitward.broker.policy.verdict import Verdict, deny
from gitward.broker.server.forwarder import Forwarder, Onward
from gitward.broker.server.graphql.handler import GraphqlHandler
from gitward.broker.server.inspection.push_check import PushCheck
from gitward.broker.server.inspection.requests import InspectionRequests
from gitward.broker.server.inspection.upstream_trees import UpstreamTrees
from gitward.broker.server.inspection.workflow_rule import WorkflowRule
from gitward.broker.server.lfs_handler import LfsHandler
from gitward.broker.server.listener import Touch
from gitward.broker.server.own_writes import OwnWrites, opened_by_rest
from gitward.broker.server.push_stream import Pusher
from gitward.broker.server.refusals import Refused, denied
from gitward.broker.server.reporter import Reporter
from gitward.broker.server.request_bodies import grant_continue, pieces, whole, whole_of_git
from gitward.broker.wire.advertisement import NoThin
from gitward.broker.wire.config import BrokerConfig
from gitward.broker.wire.ls_refs import VERSION, is_ls_refs
from gitward.broker.wire.target import Query, Target, encode_path, encode_query, parse_path
from gitward.broker.wire.upstream import api_authorization, git_authorization
from gitward.errors import PolicyDenied
from gitward.grants.endpoint import Address
from gitward.grants.grant import ExactPush, Grant
from gitward.secrets import Secret

log = logging.getLogger(__name__)


class GitHubHandler:
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
        questions: InspectionRequests,
    ) -> None:
        self.grant = grant
        self._config = config
        self._credential = credential
        self._forwarder = forwarder
        self._reporter = reporter
        self._routes = routes_of(config)
        self._writes = OwnWrites(grant=grant, reporter=reporter, look_up=self._look_up, ask=self._ask_graphql)
        self._graphql_door = GraphqlHandler(grant=grant, config=config, forwarder=forwarder, writes=self._writes)
        self._lfs_door = LfsHandler(grant=grant, config=config, forwarder=forwarder)
        rule = None if grant.allow_workflows else WorkflowRule(grant, UpstreamTrees(self._look_up))
        push_check = PushCheck(grant=grant, questions=questions, rule=rule)
        self._looks = rule is not None or grant.own_writes
        self._pusher = Pusher(forwarder=forwarder, reporter=reporter, push_check=push_check if self._looks else None)
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
        self._reporter.mask(self.secrets)
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
        self._reporter.mask([])

    def name(self, host: str) -> str:
        del host
        return "GitHub"

    @property
    def accepted(self) -> Sequence[Secret]:
        """The run credential; in login mode the sandbox has the token itself, and presents it."""
        return self._tokens if self._token_opens else [self._credential]

    def hosts(self, port: int) -> tuple[str, ...]:
        return tuple(address.host for address in self._config.addresses if address.port == port)

    def kind(self, request: BaseRequest) -> Kind:
        host = request.headers.get("Host", "").partition(":")[0].lower()
        segments = request.raw_path.partition("?")[0].removeprefix("/").split("/")
        found = find(self._routes, Target(host=host, segments=tuple(segments)))
        return found[0] if found else Kind.GIT

    async def serve(self, request: BaseRequest, at: Address, touch: Touch) -> StreamResponse:
        """A request that the front door let in. Raises PolicyDenied and UpstreamFailed."""
        segments, query = parse_path(request.raw_path)
        found = find(self._routes, Target(host=at.host, segments=segments, query=query))
        if found is None:
            raise PolicyDenied("http.path", "this path is not available on this host")
        kind, rest = found
        answer = await self._serve(request, kind, rest, query, touch)
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
            raise denied(self.closed)
        if kind is Kind.REST:
            return await self._rest(request, segments, query, touch)
        return await self._graphql_door.handle(request, query, self._onward(request), touch)

    async def _git(self, request: BaseRequest, segments: Sequence[str], query: Query, touch: Touch) -> StreamResponse:
        call = git.parse(request.method, segments, query)
        verdict = self._judged(call)
        if isinstance(call, Verdict) or not verdict.allowed:
            raise denied(verdict)
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
            raise denied(restriction.refusal)
        onward = replace(onward, body=body, length=len(body), dropped=frozenset({"content-encoding"}))
        onward = replace(onward, content_type=f"application/x-{git.Service.FETCH}-request")
        return await self._forwarder.forward(request, onward, touch)

    async def _look_up(self, path: str) -> bytes | None:
        """A question of our own about the repository. Raises UpstreamFailed."""
        url = f"{self._config.upstream_api_url}/repos/{self.grant.repository}{path}"
        authorization = api_authorization(self._token)
        return await self._forwarder.look_up(
            Onward(method="GET", url=url, authorization=authorization, screen=self._screen)
        )

    async def _ask_graphql(self, body: bytes) -> bytes:
        """The same by GraphQL."""
        url, authorization = self._config.upstream_graphql_url, api_authorization(self._token)
        return await self._forwarder.fetch(
            Onward(method="POST", url=url, authorization=authorization, body=body, screen=self._screen)
        )

    async def _rest(self, request: BaseRequest, segments: Sequence[str], query: Query, touch: Touch) -> StreamResponse:
        call = rest.find(request.method, segments, query, self.grant)
        if isinstance(call, Verdict):
            raise Refused(call.rule, call.message, status=rest.refusal_status(segments))
        wanted = accepted(request.headers.getall("Accept", []))
        await grant_continue(request)
        body = await self._rest_body(request, call.rule, touch)
        if isinstance(body, bytes) and (refused := await self._writes.refusal(call, body)) is not None:
            body = refused
        if isinstance(body, Verdict):
            raise denied(body)
        url = self._config.upstream_api_url + encode_path(call.segments)
        onward = replace(self._onward(request), url=f"{url}?{encode_query(query)}" if query else url, body=body)
        onward = replace(onward, accepted=wanted)
        return await self._forwarder.deliver(request, partial(self._answered, request, call, onward, touch), touch)

    async def _answered(self, request: BaseRequest, call: RestCall, onward: Onward, touch: Touch) -> StreamResponse:
        answer = await self._forwarder.forward(request, onward, touch)
        if call.rule.name == rest.OPENING and answer.status == 201:
            await self._writes.opened(*opened_by_rest(answer))
        return answer

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


def _is_fetch(call: GitCall) -> bool:
    return call.service is git.Service.FETCH and not call.advertisement
