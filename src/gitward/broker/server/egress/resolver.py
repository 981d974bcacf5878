"""Resolves names: one look-up, whose result is both checked and connected to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from gitward.broker.policy.egress.addresses import Address, parse_addresses

_THREADS = 4  # of one run: a name that a sandbox chose may hang, and other runs must not wait for it
_SECONDS = 10.0


class Resolver(Protocol):
    async def resolve(self, host: str) -> list[Address]:
        """All addresses of a name, in the order to try them. Raises OSError (also TimeoutError)."""
        ...


class SystemResolver:
    """As other programs on this machine resolve names; in threads of its own."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="egress-names")

    async def resolve(self, host: str) -> list[Address]:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_SECONDS):
            found = await loop.run_in_executor(self._threads, _look_up, host)
        return parse_addresses(list(dict.fromkeys(found)))

    def stop(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


class FixedResolver:
    """Some names with known addresses, in place of what the system says: for tests and demonstrations."""

    def __init__(self, names: Mapping[str, Sequence[str]], other: Resolver) -> None:
        self._names = {name: parse_addresses(addresses) for name, addresses in names.items()}
        self._other = other

    async def resolve(self, host: str) -> list[Address]:
        fixed = self._names.get(host)
        return await self._other.resolve(host) if fixed is None else fixed
