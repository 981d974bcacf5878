"""How a sandbox reaches its broker, without either knowing what the other is made of."""

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
    namespace (one per distinct port of `addresses`), and hands them over by `attach`.
    """

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The hosts that must resolve to the broker inside, with their ports."""
        ...

    @property
    def ca_pem(self) -> bytes:
        """The certificate, PEM, of the run's own CA; tools inside must trust it."""
        ...

    async def attach(self, listeners: Sequence[socket.socket]) -> str:
        """Hands listening TCP sockets to the broker; returns a name for `detach`.

        The caller keeps its own descriptors open until it detaches, so that a crashed broker can be replaced.
        """
        ...

    async def detach(self, name: str) -> None:
        """Ends the listeners and their connections. Unknown names are ignored."""
        ...
