"""The names under which the pages are served: DNS rebinding gives a stranger's page our address, not our name."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

from starlette.requests import Request

_LOCAL = frozenset({"localhost"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Hosts:
    """:param public_url: GITWARD_PUBLIC_URL.
    :param listening: GITWARD_HOST.
    """

    def __init__(self, public_url: str | None = None, listening: str = "localhost") -> None:
        public = _parts(public_url) if public_url else None
        self._public = _origin(public) if public else None
        self._is_secure = public is not None and public.scheme == "https"
        self._names = {*_LOCAL, listening.lower(), (public.hostname or "") if public else ""} - {""}

    def knows(self, request: Request) -> bool:
        """Whether the request's Host is a name of ours. An address is one: a browser takes it from no DNS."""
        parts = _parts(f"//{request.headers.get('host', '')}")
        name = (parts.hostname or "").rstrip(".") if parts else ""
        return name in self._names or _is_address(name)

    def is_secure(self, request: Request) -> bool:
        """Whether the browser speaks TLS, as far as can be known behind a proxy."""
        return self._is_secure or request.url.scheme == "https"

    def is_own(self, request: Request, origin: str) -> bool:
        """Whether an Origin is ours: the public one, or that of the request's own Host."""
        parts = _parts(origin)
        if parts is None or not parts.hostname or parts.scheme not in _DEFAULT_PORTS:
            return False
        own = _parts(f"{request.url.scheme}://{request.headers.get('host', '')}")
        return _origin(parts) in {self._public, _origin(own) if own else None} - {None}

    def base_url(self, request: Request) -> str:
        """How the browser reaches us, without a path of its own."""
        return self._public or f"{request.url.scheme}://{request.headers.get('host', '')}"


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 -- raises for one that is no number
    except ValueError:
        return None
    return parts


def _origin(parts: SplitResult) -> str:
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    port = parts.port
    shown = "" if port is None or port == _DEFAULT_PORTS.get(parts.scheme) else f":{port}"
    return f"{parts.scheme}://{host}{shown}"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
