"""Reads a client's request to the proxy strictly: one request line, plain headers, no body."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from gitward.broker.policy.egress.rules import Way
from gitward.errors import PolicyDenied

MAX_HEAD = 32 * 1024  # bytes
_MAX_HEADERS = 100
_LINE = re.compile(rb"([A-Z]{3,16}) ([\x21-\x7e]{1,8192}) HTTP/1\.([01])")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_AUTHORITY = re.compile(r"([^:/?#@\[\]]+):([0-9]{1,5})")
_URL = re.compile(r"(?i:http)://([^:/?#@\[\]]+)(?::([0-9]{1,5}))?((?:/[^#\"<>\\^`{|}]*)?)")
_SINGLE = frozenset({"host", "content-length", "transfer-encoding"})
# What a reader of packages says; credentials and cookies do not go over plain HTTP.
_PASSED = frozenset(
    {
        "accept",
        "accept-encoding",
        "cache-control",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "pragma",
        "range",
        "user-agent",
    }
)


@dataclass(frozen=True, kw_only=True)
class ProxyRequest:
    """A host, and for plain HTTP what to ask it for."""

    method: str
    host: str  # as it was written
    port: int
    way: Way
    path: str = ""
    headers: tuple[tuple[str, str], ...] = ()  # those that go on

    def __str__(self) -> str:
        return f"{self.method} {self.host}:{self.port}{self.path}"

    def onward(self, host: str) -> bytes:
        """The head of a plain request as the server gets it: one request on one connection."""
        name = host if self.port == 80 else f"{host}:{self.port}"
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: {name}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")


async def read_request(reader: asyncio.StreamReader) -> ProxyRequest | None:
    """The client's request; None when it hangs up. Raises PolicyDenied. What follows the head stays in the reader."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError:
        raise _malformed(f"the head of a request must have at most {MAX_HEAD} bytes") from None
    if len(head) > MAX_HEAD:
        raise _malformed(f"the head of a request must have at most {MAX_HEAD} bytes")
    first, *rest = head[:-4].split(b"\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        raise _malformed("a request must be well-formed HTTP/1.1")
    return _parse(line[1].decode(), line[2].decode(), line[3] == b"1", _headers(rest))


def _parse(method: str, target: str, modern: bool, headers: list[tuple[str, str]]) -> ProxyRequest:
    values = {name.lower(): value for name, value in headers}
    if values.get("content-length", "0") != "0" or "transfer-encoding" in values:
        raise _malformed("a request to the proxy has no body")
    if method == "CONNECT":
        found = _AUTHORITY.fullmatch(target)
        if found is None:
            raise _malformed("CONNECT takes host:port, such as pypi.org:443")
        request = ProxyRequest(method=method, host=found[1], port=_port(found[2]), way=Way.TLS)
    else:
        request = _plain(method, target, headers)
        if not modern:
            raise _malformed("plain requests must be HTTP/1.1")
    _check_host(request, values.get("host"), needed=modern)
    return request


def _plain(method: str, target: str, headers: list[tuple[str, str]]) -> ProxyRequest:
    found = _URL.fullmatch(target)
    if found is None:
        raise _malformed("this is a proxy: request http://host/path, or CONNECT host:port")
    if method not in {"GET", "HEAD"}:
        raise PolicyDenied("egress.http", "over plain HTTP only GET and HEAD are allowed; use https")
    kept = tuple((name, value) for name, value in headers if name.lower() in _PASSED)
    return ProxyRequest(
        method=method,
        host=found[1],
        port=_port(found[2] or "80"),
        way=Way.PLAIN,
        path=found[3] or "/",
        headers=kept,
    )


def _headers(lines: list[bytes]) -> list[tuple[str, str]]:
    if len(lines) > _MAX_HEADERS:
        raise _malformed(f"a request must have at most {_MAX_HEADERS} headers")
    headers: list[tuple[str, str]] = []
    seen: set[str] = set()
    for line in lines:
        found = _HEADER.fullmatch(line)
        if found is None:
            raise _malformed("a request must be well-formed HTTP/1.1")
        name = found[1].decode()
        if name.lower() in _SINGLE & seen:
            raise _malformed(f"the header {name} must not be repeated")
        seen.add(name.lower())
        headers.append((name, found[2].decode("latin-1").strip(" \t")))
    return headers


def _check_host(request: ProxyRequest, value: str | None, *, needed: bool) -> None:
    """Old clients send no Host header with CONNECT, some leave the port out; another host is never meant."""
    if value is None and not needed:
        return
    names = {request.host.lower(), f"{request.host}:{request.port}".lower()}
    if value is None or value.lower() not in names:
        raise _malformed("the Host header must name the host of the request")


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 65536:
        raise _malformed("a port must be between 1 and 65535")
    return port


def _malformed(message: str) -> PolicyDenied:
    return PolicyDenied("http.malformed", message)
