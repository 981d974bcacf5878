"""Connects our proxy to the operator's: one CONNECT."""

from __future__ import annotations

import asyncio
import re

from gitward.broker.server.egress.lookup import Unreachable
from gitward.broker.server.egress.tunnel import BUFFER, Peer
from gitward.broker.server.outgoing_route import connect_headers
from gitward.web_proxy import WebProxy

_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: |\r)")


async def connect_through(proxy: WebProxy, host: str, port: int, *, seconds: float) -> Peer:
    """The tunnel that the proxy opens to the host. Raises Unreachable, which names the proxy."""
    peer: Peer | None = None
    try:
        async with asyncio.timeout(seconds):
            peer = Peer(*await asyncio.open_connection(proxy.host, proxy.port, limit=BUFFER))
            await peer.send(_request(proxy, host, port))
            status = await _status(peer.reader)
    except (OSError, EOFError, asyncio.LimitOverrunError) as error:  # TimeoutError is an OSError
        _end(peer)
        raise Unreachable(f"{host}:{port} could not be reached: the proxy {proxy} does not answer") from error
    except BaseException:
        _end(peer)
        raise
    if not 200 <= status < 300:
        _end(peer)
        raise Unreachable(f"{host}:{port} could not be reached: the proxy {proxy} refused it ({status})")
    return peer


def _request(proxy: WebProxy, host: str, port: int) -> bytes:
    named = f"{host}:{port}"
    headers = {"Host": named, **connect_headers(proxy)}
    lines = [f"CONNECT {named} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


async def _status(reader: asyncio.StreamReader) -> int:
    """0 for an answer that is no HTTP."""
    head = await reader.readuntil(b"\r\n\r\n")
    found = _STATUS.match(head)
    return int(found[1]) if found else 0


def _end(peer: Peer | None) -> None:
    if peer is not None:
        peer.abort()
