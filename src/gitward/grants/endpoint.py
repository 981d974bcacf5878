"""How a sandbox reaches its broker, without either knowing the other's implementation."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Address:
    """A GitHub host as the sandbox sees it."""

    host: str  # "github.com"
    port: int  # 443


class Endpoint(Protocol):
    """An open grant's door. `Sandbox.open` takes one.

    A bubblewrap sandbox makes, for each command, listening sockets on 127.0.0.1 in the command's own network
    namespace (one for each of `ports_of`), and hands them over by `attach`.
    """

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The hosts that must resolve to the broker inside, with their ports."""
        ...

    @property
    def proxy_port(self) -> int | None:
        """The port of an HTTP proxy to other hosts, beside those of `addresses`; None: there is none."""
        ...

    @property
    def ca_pem(self) -> bytes:
        """The certificates, PEM, that tools inside must trust beside the public ones: the run's own CA first."""
        ...

    async def attach(self, listeners: Sequence[socket.socket]) -> str:
        """Hands listening TCP sockets to the broker; returns a name for `detach`.

        The caller keeps its own descriptors open until it detaches, so that a crashed broker can be replaced.
        """
        ...

    async def detach(self, name: str) -> None:
        """Ends the listeners and their connections. Unknown names are ignored."""
        ...


def ports_of(endpoint: Endpoint) -> tuple[int, ...]:
    """The ports that a sandbox must listen on for an endpoint."""
    proxy = () if endpoint.proxy_port is None else (endpoint.proxy_port,)
    return tuple(sorted({*(address.port for address in endpoint.addresses), *proxy}))


class Nowhere:
    """The Endpoint of a sandbox that reaches nothing: no host, no listener, no certificate."""

    addresses: tuple[Address, ...] = ()
    ca_pem = b""
    proxy_port: int | None = None

    async def attach(self, listeners: Sequence[socket.socket]) -> str:
        raise ValueError(f"{len(listeners)} listeners for an endpoint without addresses")

    async def detach(self, name: str) -> None:
        """There is nothing to detach."""
