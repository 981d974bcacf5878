"""The gate before every route: authenticates the caller and checks that the body is a sane JSON document.

Deny by default: a path that is not open needs a token, whether a route exists for it or not. With a bearer token the
body is read as JSON whatever its content type says, because `curl -d` says that it is a form.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import math
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gitward.api.problems import problem
from gitward.errors import Forbidden, InvalidRequest, RequestError, TooLarge, Unauthenticated, Unavailable
from gitward.identity.authorization import Holder
from gitward.identity.verifier import LEEWAY_SECONDS, Verifier

OPEN_PATHS = frozenset({"/health", "/ready", "/docs", "/openapi.json"})
METRICS_PATH = "/metrics"
_PASSED_ON = frozenset({b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip"})
MAX_BODY = 1024 * 1024  # bytes
BODY_SECONDS = 60.0  # for a whole body to arrive
SHORT_BODY = 16 * 1024  # bytes; what is longer is parsed in a thread
MAX_DEPTH = 32  # of nested objects and arrays
MAX_VALUES = 5000  # of a whole body; what is allowed in one has a few hundred


class RequestGate:
    """ASGI middleware."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        verifier: Verifier,
        operators: Sequence[Holder] = (),
        is_proxied: bool = False,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self._app = app
        self._verifier = verifier
        self._operators = operators
        self._is_proxied = is_proxied
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # there are none here
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await self._identify(scope)
            body = await self._read(receive)
            _check_time(scope)
            if body:
                await _check(body)
                scope["headers"] = _as_json(scope["headers"])
        except RequestError as error:
            await problem(error)(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    async def _identify(self, scope: Scope) -> None:
        """:raises RequestError: this caller may not come here."""
        metrics = scope["path"] == METRICS_PATH
        if scope["path"] in OPEN_PATHS or (metrics and not self._is_proxied and _is_local(scope)):
            return
        if _count(scope, b"authorization") > 1:
            raise Unauthenticated("The request has several Authorization headers; send one.")
        identity = await self._verifier.identify(_header(scope, b"authorization"))
        if metrics and not any(operator.is_one(identity.claims) for operator in self._operators):
            raise Forbidden(
                "Only callers that GITWARD_OPERATORS names may read the metrics. Without a token, read them from "
                "this machine: at its own address, not through a proxy, or at GITWARD_METRICS_PORT."
            )
        scope["gitward.owner"], scope["gitward.claims"] = identity.owner, identity.claims
        scope["gitward.expires_at"] = identity.expires_at

    async def _read(self, receive: Receive) -> bytes:
        try:
            async with asyncio.timeout(self._body_seconds):
                return await _read(receive)
        except TimeoutError:
            raise InvalidRequest(f"The body did not arrive within {self._body_seconds:g} s.") from None


def _check_time(scope: Scope) -> None:
    """:raises Unauthenticated: the token expired while the body came."""
    if time.time() > scope.get("gitward.expires_at", math.inf) + LEEWAY_SECONDS:
        raise Unauthenticated("The token has expired.")


def _is_local(scope: Scope) -> bool:
    """Whether it comes from this machine and was not passed on by a proxy, to which every caller looks local.

    A proxy that sets no header of its own still passes the caller's `Host` on, or speaks HTTP/1.0 as nginx does.
    """
    if not scope.get("client") or any(name in _PASSED_ON for name, _ in scope["headers"]):
        return False
    return (
        scope.get("http_version") != "1.0"
        and _is_loopback(scope["client"][0])
        and _names_this_machine(_header(scope, b"host") or "")
    )


def _names_this_machine(host: str) -> bool:
    """Whether a Host header, with a port or without, is loopback's."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or _is_loopback(name)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _count(scope: Scope, name: bytes) -> int:
    return sum(key == name for key, _ in scope["headers"])


def _header(scope: Scope, name: bytes) -> str | None:
    values = [value for key, value in scope["headers"] if key == name]
    return values[0].decode("latin-1") if len(values) == 1 else None


def _as_json(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [*((k, v) for k, v in headers if k != b"content-type"), (b"content-type", b"application/json")]


async def _read(receive: Receive) -> bytes:
    """:raises TooLarge: without reading the rest."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Unavailable("The client disconnected.")
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            raise TooLarge(f"The body is longer than {MAX_BODY} bytes.")
        if not message.get("more_body"):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body again, and then whatever the server still has to say (a disconnect)."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay


async def _check(body: bytes) -> None:
    """A long one in a thread: whatever it holds, others are answered meanwhile."""
    if len(body) > SHORT_BODY:
        await asyncio.to_thread(_check_json, body)
    else:
        _check_json(body)


def _check_json(body: bytes) -> None:
    """Refuses what parsers disagree about: duplicate names, NaN, unpaired surrogates, endless depth."""
    try:
        # As text, because `json` would guess UTF-16 and UTF-32 from bytes; a byte order mark is let pass.
        value = json.loads(body.decode("utf-8-sig"), object_pairs_hook=_unique, parse_constant=_no_constant)
        depth, values = _measure(value)
        if values <= MAX_VALUES:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise InvalidRequest("The body is not a JSON document in UTF-8.") from None
    if depth > MAX_DEPTH:
        raise InvalidRequest(f"The body is nested deeper than {MAX_DEPTH} levels.")
    if values > MAX_VALUES:
        raise InvalidRequest(f"The body has more than {MAX_VALUES} values.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise InvalidRequest("The body has a name twice in one object.")
    return dict(pairs)


def _no_constant(_: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")


def _measure(value: Any) -> tuple[int, int]:
    """How deep it is, and how many values it has; with more than MAX_VALUES it is not looked at to its end.

    Without recursion: what a hostile document nests must not nest our calls.
    """
    deepest, values, level = 0, 0, [value]
    while level and values <= MAX_VALUES:
        deepest += 1
        values += len(level)
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
    return deepest, values
