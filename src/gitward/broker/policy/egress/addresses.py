"""Which addresses may be connected to: public ones, and the private networks that the operator names."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# IANA's special-purpose registries (RFC 6890 and later), and Azure's address for its virtual machines.
_SPECIAL = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
    )
)
# Of IPv6, everything outside is special: loopback, link-local, private, multicast, and IPv4 in other clothes.
_GLOBAL = IPv6Network("2000::/3")
# Not even the operator can open these: this machine's loopback, and who tells a cloud machine its credentials.
_NEVER = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "168.63.129.16/32",
        "100.100.100.200/32",
        "192.0.0.192/32",
        "224.0.0.0/3",
        "::/96",
        "::ffff:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "fe80::/10",
        "fec0::/10",
        "fd00:ec2::/32",
        "fd20:ce::/32",
        "ff00::/8",
    )
)


def is_public(address: Address) -> bool:
    """Whether everybody on the Internet would reach the same machine by it."""
    if isinstance(address, IPv6Address) and address not in _GLOBAL:
        return False
    return address.is_global and not any(address in network for network in _SPECIAL)


def is_own(address: Address) -> bool:
    """Whether this machine has the address itself: its services would take whoever asks for a neighbour."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))  # sends nothing: only asks the kernel for the way
            return ip_address(probe.getsockname()[0]) == address
    except OSError:
        return False  # there is no way to it at all


class Reach:
    """Public addresses, and those of `private`; never this machine's own or a cloud's metadata."""

    def __init__(self, private: Iterable[str] = (), *, trusted: Iterable[str] = ()) -> None:
        """`trusted` addresses are reached whatever they are: for tests, whose upstreams are on loopback."""
        self._private = tuple(ip_network(text) for text in private)
        self._trusted = frozenset(ip_address(text) for text in trusted)

    def allowed(self, addresses: Iterable[Address]) -> list[Address]:
        return [address for address in addresses if self._allows(address)]

    def _allows(self, address: Address) -> bool:
        if isinstance(address, IPv6Address) and address.scope_id:
            return False
        if address in self._trusted:
            return True
        named = any(address in network for network in self._private)
        allowed = is_public(address) or (named and not any(address in network for network in _NEVER))
        return allowed and not is_own(address)


def parse_networks(text: str) -> tuple[str, ...]:
    """GITWARD_EGRESS_PRIVATE in one spelling. Raises ValueError with one sentence for each wrong entry."""
    networks: list[str] = []
    problems: list[str] = []
    for number, entry in enumerate((part.strip() for part in text.split(",") if part.strip()), start=1):
        try:
            network = ip_network(entry)
        except ValueError:
            problems.append(f"entry {number} must be a network such as 10.20.0.0/16, without bits behind the prefix")
            continue
        if any(network.version == never.version and network.subnet_of(never) for never in _NEVER):  # type: ignore[arg-type]  # the versions are equal
            problems.append(f"entry {number} must not be this machine, a cloud's metadata, multicast or the like")
        networks.append(str(network))
    if problems:
        raise ValueError("\n".join(problems))
    return tuple(networks)


def parse_addresses(texts: Sequence[str]) -> list[Address]:
    return [ip_address(text) for text in texts]
