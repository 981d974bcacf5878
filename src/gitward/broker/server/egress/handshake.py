"""The beginning of TLS in a tunnel: the proxy forwards nothing before the client has asked for the tunnel's host."""

from __future__ import annotations

from gitward.broker.policy.egress.client_hello import HelloReader
from gitward.broker.server.egress.traffic import Traffic
from gitward.broker.server.egress.tunnel import BUFFER, Peer
from gitward.errors import PolicyDenied

# What a server's hello has in place of a random number when it wants another hello of the client (RFC 8446, 4.1.3).
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
_RANDOM = slice(11, 43)  # in the server's first bytes: record header 5, message header 4, version 2
_HANDSHAKE, _SERVER_HELLO = 22, 2


async def shake_hands(client: Peer, upstream: Peer, host: str, traffic: Traffic) -> None:
    """Passes the client's hello on, and its second one when the server asks for that.

    :raises PolicyDenied: a hello asks for another host, or is none; it has not been passed on.
    """
    await _pass_hello(client, upstream, host, traffic)
    answer = await _first_bytes(upstream)
    traffic.received += len(answer)
    await client.send(answer)
    if answer[:1] == bytes([_HANDSHAKE]) and answer[5:6] == bytes([_SERVER_HELLO]) and answer[_RANDOM] == _RETRY:
        await _pass_hello(client, upstream, host, traffic, again=True)


async def _pass_hello(client: Peer, upstream: Peer, host: str, traffic: Traffic, *, again: bool = False) -> None:
    hello, seen = HelloReader(again=again), bytearray()
    while piece := await client.reader.read(BUFFER):
        seen += piece
        name = hello.feed(piece)
        if name is None:
            continue
        if name != host:
            raise PolicyDenied("egress.sni", f"in a tunnel to {host} the TLS client must ask for {host}")
        traffic.sent += len(seen)
        return await upstream.send(bytes(seen))
    raise ConnectionAbortedError("the client hung up")


async def _first_bytes(upstream: Peer) -> bytes:
    """Enough of the server's answer to know whether it wants another hello; less when it is something else."""
    answer = bytearray()
    while len(answer) < _RANDOM.stop and (not answer or answer[0] == _HANDSHAKE):
        piece = await upstream.reader.read(BUFFER)
        if not piece:
            break
        answer += piece
    return bytes(answer)
