"""Which addresses may be connected to."""

from __future__ import annotations

import subprocess
import sys
from ipaddress import ip_address

import pytest

from gitward.broker.policy.egress.addresses import Reach, parse_networks

PUBLIC = ["151.101.0.223", "8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a04:4e42::223"]
SPECIAL = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.0.1",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::a00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2606:4700::1111%eth0",
]
NEVER = ["0.0.0.0", "127.0.0.1", "169.254.169.254", "168.63.129.16", "100.100.100.200", "::1", "::ffff:10.0.0.1"]
NEVER_TOO = [
    "fd00:ec2::254",
    "fe80::1",
    "2002:a00:1::1",
    "64:ff9b::a00:1",
    "224.0.0.1",
    "192.0.0.192",
    "255.255.255.255",
]
ALL = ("0.0.0.0/0", "::/0")


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses(text: str) -> None:
    assert Reach().allowed([ip_address(text)]) == [ip_address(text)]


@pytest.mark.parametrize("text", SPECIAL)
def test_special_addresses(text: str) -> None:
    assert Reach().allowed([ip_address(text)]) == []


@pytest.mark.parametrize("text", NEVER + NEVER_TOO)
def test_what_no_setting_opens(text: str) -> None:
    """Even if a network that holds it were named."""
    assert Reach(ALL).allowed([ip_address(text)]) == []


def test_of_several_addresses_those_that_may_be_are_taken() -> None:
    found = [ip_address(text) for text in ("10.0.0.1", "8.8.8.8", "::1", "10.20.0.5")]
    assert Reach().allowed(found) == [ip_address("8.8.8.8")]
    assert Reach(["10.20.0.0/16"]).allowed(found) == [ip_address("8.8.8.8"), ip_address("10.20.0.5")]


def test_networks() -> None:
    assert parse_networks(" 10.20.0.0/16, fd12:3456::/32 ,192.168.1.7") == (
        "10.20.0.0/16",
        "fd12:3456::/32",
        "192.168.1.7/32",
    )
    assert parse_networks("") == ()


@pytest.mark.parametrize("text", ["127.0.0.0/8", "127.0.0.1", "169.254.169.254", "::1", "fd00:ec2::/64"])
def test_networks_that_are_never_opened(text: str) -> None:
    with pytest.raises(ValueError, match="entry 2 must not be this machine, a cloud's metadata"):
        parse_networks(f"10.0.0.0/8,{text}")


def test_wrong_networks() -> None:
    with pytest.raises(ValueError, match=r"^entry 1 must be a network such as .*\nentry 3 must be a network such as"):
        parse_networks("10.20.0.1/16, 10.0.0.0/8, intranet")


def test_this_machine_is_not_reached_by_an_address_of_its_own() -> None:
    """A public one, and one in a private network that is open: services that listen on all addresses would answer."""
    program = (
        "from ipaddress import ip_address; from gitward.broker.policy.egress.addresses import Reach;"
        "print(Reach(['10.20.0.0/16']).allowed(map(ip_address, ('11.22.33.44', '10.20.0.5', '10.20.0.6', '8.8.8.8'))))"
    )
    links = "ip link set lo up && ip addr add 11.22.33.44/32 dev lo && ip addr add 10.20.0.5/32 dev lo"
    script = f'{links} && exec "$0" -c "$1"'
    shown = subprocess.run(
        ["unshare", "-rn", "sh", "-c", script, sys.executable, program], check=True, capture_output=True, text=True
    )
    assert shown.stdout == "[IPv4Address('10.20.0.6'), IPv4Address('8.8.8.8')]\n"
