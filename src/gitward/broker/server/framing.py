"""Checks the framing of a request before its meaning."""

from __future__ import annotations

from aiohttp import HttpVersion11
from aiohttp.web_request import BaseRequest

from gitward.broker.server.refusals import Refused
from gitward.errors import PolicyDenied

_SINGLE = (
    "Authorization",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "Expect",
    "Host",
    "Transfer-Encoding",
)  # headers of which two readers may take two different ones when they are repeated
# git-lfs sends the header of `http.extraHeader` beside the same one of a batch's answer. Two readers take the same.
_SAID_TWICE = "Authorization"
_NO_UPGRADE = "WebSockets and HTTP/2 are not supported: the broker forwards HTTP/1.1 requests only"
_UPGRADES = frozenset({"upgrade", "http2-settings"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def check_framing(request: BaseRequest) -> None:
    """Refuses what two HTTP implementations could cut into two different requests. Raises PolicyDenied."""
    headers = request.headers
    if _wants_another_protocol(request):
        raise Refused("http.upgrade", _NO_UPGRADE, status=426)
    if request.version != HttpVersion11:
        raise PolicyDenied("http.version", "only HTTP/1.1 is supported")
    if request.method not in _METHODS:
        raise PolicyDenied("http.method", "this method is not allowed")
    for name in _SINGLE:
        values = headers.getall(name, [])
        if len(set(values) if name == _SAID_TWICE else values) > 1:
            raise PolicyDenied("http.headers", f"the header {name} must not be repeated")
    if "Transfer-Encoding" in headers and ("Content-Length" in headers or headers["Transfer-Encoding"] != "chunked"):
        raise PolicyDenied("http.headers", "a body must either be chunked or have a Content-Length")


def _wants_another_protocol(request: BaseRequest) -> bool:
    tokens = {
        token.strip(" \t").lower() for value in request.headers.getall("Connection", []) for token in value.split(",")
    }
    names = {name.lower() for name in request.headers}
    return bool(tokens & _UPGRADES or names & _UPGRADES) or any(name.startswith("sec-websocket-") for name in names)
