"""What the API's listening sockets are like."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from gitward.cli.serve import _listen
from gitward.errors import SettingsError

BOTH = [(socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1")]  # in Debian's order


@pytest.fixture
def debian(monkeypatch: pytest.MonkeyPatch) -> None:
    """`localhost` has the addresses that it has on a Debian that was installed, whatever this machine's file says."""

    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        assert host == "localhost"
        return [(family, socket.SOCK_STREAM, 6, "", (address, port)) for family, address in BOTH]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_accepted_connections_send_at_once() -> None:
    """Else every answer on a kept connection waits for the client's delayed acknowledgement, about 40 ms."""
    with _listen("localhost", 0) as (listener, *_), socket.create_connection(listener.getsockname()[:2]) as client:
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            client.sendall(b"x")
            assert accepted.recv(1) == b"x"


@pytest.mark.usefixtures("debian")
def test_localhost_is_answered_at_both_of_its_addresses() -> None:
    """A proxy or a monitor that is told 127.0.0.1 tries no other."""
    with _listen("localhost", 0) as listeners:
        port = listeners[0].getsockname()[1]
        assert [(each.family, each.getsockname()[:2]) for each in listeners] == [
            (family, (address, port)) for family, address in BOTH
        ]
    with _listen("localhost", port) as again:
        assert len(again) == 2


@pytest.mark.usefixtures("debian")
def test_a_chosen_port_that_another_program_has_at_one_address_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingsError) as refused, _listen("localhost", port):
            pass
    [told] = refused.value.problems
    assert told.startswith(f"GITWARD_HOST, GITWARD_PORT: cannot listen on localhost:{port}: ")


@pytest.mark.usefixtures("debian")
def test_a_machine_without_one_of_them_is_served_at_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.BOTH", [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "2001:db8::1")])
    with _listen("localhost", 0) as listeners:
        assert [each.getsockname()[0] for each in listeners] == ["127.0.0.1"]
