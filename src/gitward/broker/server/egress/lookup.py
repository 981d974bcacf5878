"""Looks up the addresses of an admitted name that the proxy may connect to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from ipaddress import ip_address

from gitward.broker.policy.egress.addresses import Address, Reach
from gitward.broker.server.egress.resolver import Resolver
from gitward.errors import GitwardError, PolicyDenied
from gitward.grants import endpoint

_OWN_SECONDS = 60.0  # that the addresses of GitHub's names are remembered


class Unreachable(GitwardError):
    """The host has no address, or does not answer."""


class Lookup:
    """Looks up and judges. What it returns is connected to as it is: nobody looks the name up a second time."""

    def __init__(self, resolver: Resolver, reach: Reach, *, own: Sequence[endpoint.Address]) -> None:
        """`own` is where the broker itself connects to: no other name may lead there."""
        self._resolver = resolver
        self._reach = reach
        self._own = tuple(own)
        self._asking_own = asyncio.Lock()
        self._own_addresses: set[tuple[Address, int]] = set()
        self._own_until = 0.0

    async def addresses(self, host: str, port: int) -> list[Address]:
        """Raises PolicyDenied when none of the host's addresses may be reached, Unreachable when it has none."""
        found = await self._resolve(host)
        own = await self._of_our_own(port)
        public = self._reach.allowed(found)
        if not public:
            raise PolicyDenied(
                "egress.address", f"{host} has no public address; GITWARD_EGRESS_PRIVATE opens private ones"
            )
        foreign = [address for address in public if (address, port) not in own]
        if not foreign:
            raise PolicyDenied("egress.github", f"{host} has the same address as a host of GitHub")
        return foreign

    async def _resolve(self, host: str) -> list[Address]:
        try:
            found = await self._resolver.resolve(host)
        except OSError:
            found = []
        if not found:
            raise Unreachable(f"the name {host} could not be resolved")
        return found

    async def _of_our_own(self, port: int) -> set[tuple[Address, int]]:
        """Addresses and ports of GitHub, as far as they have this port."""
        if not any(each.port == port for each in self._own):
            return set()
        async with self._asking_own:
            if time.monotonic() >= self._own_until:
                self._own_addresses = {
                    (address, each.port) for each in self._own for address in await self._addresses_of(each.host)
                }
                self._own_until = time.monotonic() + _OWN_SECONDS
        return self._own_addresses

    async def _addresses_of(self, host: str) -> list[Address]:
        try:
            return [ip_address(host)]
        except ValueError:
            return await self._resolve(host)
