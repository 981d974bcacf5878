"""Dispatch: which part of the stand-in answers a request, what is logged of it, and which faults it meets.

Without GitHub's names the stand-in has Enterprise Server's shape: git at URL/owner/name.git, REST at URL/api/v3,
GraphQL at URL/api/graphql. A request whose Host is `api.github.com` finds REST at the root and GraphQL at /graphql.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Coroutine
from http import HTTPStatus

from aiohttp import web

from gitward_standin import app_manifests, bodies, git_http, graphql, lfs_http, reflection
from gitward_standin.accounts import Identity
from gitward_standin.backend import Backend
from gitward_standin.credentials import Unknown, identify
from gitward_standin.lfs import Lfs, LfsRefusal
from gitward_standin.rest import api
from gitward_standin.rest.call import DOCS, ApiError
from gitward_standin.site import Site
from gitward_standin.traffic import Fault, ReceivedRequest, Traffic

API_HOST = "api.github.com"
GIT_HOST = "github.com"


class Front:
    """The handler of every request."""

    def __init__(self, site: Site, traffic: Traffic, backend: Backend) -> None:
        self.site = site
        self.traffic = traffic
        self.lfs = Lfs()
        self._backend = backend
        self._used: Counter[str] = Counter()
        self._calls: set[asyncio.Task[web.Response]] = set()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        received = _received(request)
        self.traffic.log(received)
        try:
            await self.traffic.pass_gates(received.method, received.path)
            if self.traffic.reflects and (status := reflection.wanted_status(received)) is not None:
                received.status = status
                return reflection.answer(received, status=status, url=f"{self.lfs.base}{received.path}")
            fault = self.traffic.next_fault(received.method, received.path)
            if fault is None or fault.applied:
                response = await self._answer(request, received, silent=fault is not None)
            if fault is not None:
                await self.traffic.pass_gates(received.method, received.path, applied=True)
                response = _faulty(request, fault)
            received.status = response.status
            return response
        finally:
            self.traffic.answered(received)

    async def finish_calls(self) -> None:
        """Waits for API calls that outlive their connection."""
        await asyncio.gather(*self._calls, return_exceptions=True)

    async def _answer(self, request: web.BaseRequest, received: ReceivedRequest, *, silent: bool) -> web.StreamResponse:
        path = _api_path(request)
        try:
            if path == "/graphql":
                return await self._graphql(request, received)
            if path is not None:
                return await self._rest(request, received, path)
            if app_manifests.is_page(request):
                return await app_manifests.serve(self.site, request, await bodies.read(request))
            return await self._git(request, received, silent=silent)
        except bodies.BodyTooLong:
            return web.Response(status=413, text="Request body is too large\n")

    async def _git(self, request: web.BaseRequest, received: ReceivedRequest, *, silent: bool) -> web.StreamResponse:
        identity = self._identify(request, received, git=True)
        if self.site.downloads.is_download(request):
            return self.site.downloads.answer(request)
        try:
            if self.lfs.is_action(request):
                await bodies.invite(request)
                return await self.lfs.act(request, self.site.repositories)
            if lfs_call := lfs_http.parse(request):
                return await lfs_http.serve(self.site, self.lfs, request, lfs_call, identity)
            if call := git_http.parse(request):
                return await git_http.serve(self.site, self._backend, request, call, identity, silent=silent)
        except (git_http.GitRefusal, LfsRefusal) as refusal:
            return refusal.response()
        return web.Response(status=404, text="Not Found\n")

    async def _rest(self, request: web.BaseRequest, received: ReceivedRequest, path: str) -> web.Response:
        received.body = await bodies.read(request)
        identity = self._identify(request, received, git=False)
        call = api.ApiRequest(
            method=request.method,
            path=path,
            query=dict(request.rel_url.query),
            url=f"{request.scheme}://{request.host}{request.rel_url.raw_path}",
            content=received.body,
            accept=request.headers.get("Accept", ""),
            identity=identity,
            has_user_agent="User-Agent" in request.headers,
            proof=_proof(request) if isinstance(identity, Unknown) else None,
        )
        return self._complete(await self._carry_out(api.answer(self.site, call)), identity)

    async def _graphql(self, request: web.BaseRequest, received: ReceivedRequest) -> web.Response:
        received.body = await bodies.read(request)
        identity = self._identify(request, received, git=False)
        if isinstance(identity, Identity):
            response = await self._carry_out(graphql.answer(self.site, identity, received.body))
        else:
            message = "Bad credentials" if identity else "This endpoint requires you to be authenticated."
            response = api.json_response(401, ApiError(401, message).body(graphql.DOCS))
        return self._complete(response, identity)

    async def _carry_out(self, call: Coroutine[None, None, web.Response]) -> web.Response:
        """Finishes a call of the API even when its client goes away, as GitHub does."""
        task = asyncio.create_task(call)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        return await asyncio.shield(task)

    def _identify(self, request: web.BaseRequest, received: ReceivedRequest, *, git: bool) -> Identity | Unknown | None:
        identity = identify(self.site.accounts, request.headers.get("Authorization"), git=git)
        received.login = identity.login if isinstance(identity, Identity) else None
        return identity

    def _complete(self, response: web.Response, identity: Identity | Unknown | None) -> web.Response:
        key = identity.login if isinstance(identity, Identity) else ""
        self._used[key] += 1
        body = response.body if isinstance(response.body, bytes) else b""
        response.headers.extend(api.common_headers(identity, used=self._used[key], body=body))
        response.headers["X-GitHub-Request-Id"] = request_id()
        return response


def request_id() -> str:
    """The shape of X-GitHub-Request-Id: five groups of upper-case hexadecimal digits."""
    return ":".join(secrets.token_hex(size).upper() for size in (2, 3, 4, 4, 4))


def _api_path(request: web.BaseRequest) -> str | None:
    """The path below the API's root, `/graphql` for GraphQL; None: the request is for the git host."""
    host, path = request.host.partition(":")[0].lower(), request.rel_url.raw_path
    if host == API_HOST:
        return path
    if host == GIT_HOST:
        return None
    if path == "/api/graphql":
        return "/graphql"
    return (path.removeprefix("/api/v3") or "/") if f"{path}/".startswith("/api/v3/") else None


def _proof(request: web.BaseRequest) -> str | None:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


def _received(request: web.BaseRequest) -> ReceivedRequest:
    path, _, query = request.raw_path.partition("?")
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return ReceivedRequest(
        method=request.method,
        host=request.headers.get("Host", ""),
        path=path,
        query=query,
        headers=headers,
        raw_headers=tuple(request.raw_headers),
    )


def _faulty(request: web.BaseRequest, fault: Fault) -> web.Response:
    """The planned answer. Status 0 cuts the connection."""
    if fault.status == 0:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("a planned fault cut the connection")
    body = fault.body
    if body is None:
        body = api.encode({"message": HTTPStatus(fault.status).phrase, "documentation_url": DOCS})
    headers = {"Content-Type": api.JSON, "X-GitHub-Request-Id": request_id(), **fault.headers}
    return web.Response(status=fault.status, body=body, headers=headers)
