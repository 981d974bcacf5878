"""One address for two applications: the API, and the pages of browsers.

They share some addresses: a pull request's link to `/sessions/{id}` is opened by people, and asked by scripts.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send


class Site:
    """ASGI: each request goes to the API or to the pages."""

    def __init__(self, api: FastAPI, pages: FastAPI) -> None:
        self._api: ASGIApp = api
        self._pages: ASGIApp = pages
        self._api_routes, self._page_routes = api.routes, pages.routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        chosen = self._pages if scope["type"] == "http" and self._is_for_pages(scope) else self._api
        await chosen(scope, receive, send)

    def _is_for_pages(self, scope: Scope) -> bool:
        """A bearer token is for the API alone. An address that both have is a page for whoever asks for HTML."""
        headers = dict(scope["headers"])
        if b"authorization" in headers or not _has(self._page_routes, scope):
            return False
        return b"text/html" in headers.get(b"accept", b"") or not _has(self._api_routes, scope)


def _has(routes: Sequence[BaseRoute], scope: Scope) -> bool:
    return any(route.matches(scope)[0] is not Match.NONE for route in routes)
