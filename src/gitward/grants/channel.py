"""Messages with file descriptors between the worker and its own child processes (launcher, broker).

One message is one JSON object in one SOCK_SEQPACKET datagram, with up to MAX_FDS descriptors beside it
(SCM_RIGHTS). Both ends are processes of ours; nothing inside a sandbox ever holds a channel.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import socket
from collections.abc import Sequence
from typing import Any

MAX_MESSAGE = 160 * 1024  # bytes; below the kernel's default SO_SNDBUF (212,992)
MAX_FDS = 16

Message = dict[str, Any]


class ChannelClosed(ConnectionError):
    """The other end is gone."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends. The second is meant for a child: pass it by `pass_fds`."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(sock: socket.socket, message: Message, fds: Sequence[int] = ()) -> None:
    """Sends one message; the caller still owns `fds` and closes them.

    :raises ValueError: the message is too long, or has too many descriptors.
    :raises ChannelClosed: the other end is gone.
    """
    if len(fds) > MAX_FDS:
        raise ValueError(f"{len(fds)} descriptors; at most {MAX_FDS} go with one message")
    data = json.dumps(message, separators=(",", ":")).encode()
    if len(data) > MAX_MESSAGE:
        raise ValueError(f"a message of {len(data)} bytes; at most {MAX_MESSAGE} are allowed")
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    try:
        sock.sendmsg([data], ancillary, socket.MSG_NOSIGNAL)
    except (BrokenPipeError, ConnectionResetError) as error:
        raise ChannelClosed("the other end of the channel is closed") from error


def receive(sock: socket.socket) -> tuple[Message, list[int]]:
    """Receives one message and its descriptors (close-on-exec; the caller owns them). Blocks unless `sock` does not.

    :raises ValueError, TypeError: what came is no message; its descriptors are closed.
    :raises ChannelClosed: the other end is gone.
    """
    data, ancillary, flags = _received(sock)
    fds = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
    if not data:
        close_all(fds)
        raise ChannelClosed("the other end of the channel is closed")
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        close_all(fds)
        raise ValueError("a message or its descriptors were cut short")
    try:
        message = json.loads(data)
    except ValueError:
        close_all(fds)
        raise
    if not isinstance(message, dict):
        close_all(fds)
        raise TypeError("a message must be a JSON object")
    return message, list(fds)


def _received(sock: socket.socket) -> tuple[bytes, list[tuple[int, int, bytes]], int]:
    space = socket.CMSG_LEN(MAX_FDS * array.array("i").itemsize)
    for _ in range(2):
        # The other end may go before it read all that we sent. The kernel tells that first, once, although what the
        # other end said until then still waits.
        with contextlib.suppress(ConnectionResetError):
            data, ancillary, flags, _ = sock.recvmsg(MAX_MESSAGE, space, socket.MSG_CMSG_CLOEXEC)
            return data, ancillary, flags
    raise ChannelClosed("the other end of the channel is closed")


def close_all(fds: Sequence[int] | array.array[int]) -> None:
    """Closes descriptors, whatever became of them."""
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)
