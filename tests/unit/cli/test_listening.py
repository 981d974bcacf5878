"""What the API's listening socket is like."""

from __future__ import annotations

import socket

from gitward.cli.serve import _listen


def test_accepted_connections_send_at_once() -> None:
    """Else every answer on a kept connection waits for the client's delayed acknowledgement, about 40 ms."""
    with _listen("localhost", 0) as listener, socket.create_connection(listener.getsockname()[:2]) as client:
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            client.sendall(b"x")
            assert accepted.recv(1) == b"x"
