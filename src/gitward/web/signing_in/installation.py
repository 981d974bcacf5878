"""Puts sign-in into the application of the pages."""

from __future__ import annotations

from fastapi import FastAPI, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gitward.web.signing_in import issuer_routes, paths, routes
from gitward.web.signing_in.hosts import Hosts
from gitward.web.signing_in.person import NotSignedIn
from gitward.web.signing_in.signing_in import SigningIn

_UNKNOWN_HOST = (
    "Gitward does not serve its pages under this name. Open them at the address that GITWARD_PUBLIC_URL names, or set "
    "GITWARD_PUBLIC_URL to the address in your browser.\n"
)


def install(app: FastAPI, signing_in: SigningIn, *, style: str | None = None) -> None:
    """The routes /sign-in and /sign-out; `SignedIn` leads there; names of hosts that are not ours are refused.

    :param style: the address of the style sheet that the pages of sign-in use too.
    """
    signing_in.style = style
    app.state.signing_in = signing_in
    app.include_router(routes.router)
    app.include_router(issuer_routes.router)
    app.add_exception_handler(NotSignedIn, _to_sign_in)
    app.add_middleware(KnownHosts, hosts=signing_in.hosts)


async def _to_sign_in(request: Request, _: Exception) -> Response:
    """A page is led to the sign-in. What htmx asked for is a part of one: the whole page has to go there."""
    where = paths.sign_in(paths.wanted_by(request))
    if "hx-request" in request.headers:
        return Response(status_code=401, headers={"HX-Redirect": where, "Cache-Control": "no-store"})
    return RedirectResponse(where, status_code=303, headers={"Cache-Control": "no-store"})


class KnownHosts:
    """ASGI middleware: refuses requests for hosts whose names are not ours."""

    def __init__(self, app: ASGIApp, *, hosts: Hosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._hosts.knows(Request(scope)):
            await PlainTextResponse(_UNKNOWN_HOST, status_code=421)(scope, receive, send)
            return
        await self._app(scope, receive, send)
