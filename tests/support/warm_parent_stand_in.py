"""Stands for a warm parent as the worker's child: hands its channel to the nursery, and ends when the parent does.

Run as `python -I -S warm_parent_stand_in.py SOCKET`; it loads next to nothing.
"""

from __future__ import annotations

import _socket
import posix
import select
import struct
import sys


def main(path: str) -> None:
    with_nursery = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    with_nursery.connect(path)
    fds = struct.pack("2i", 0, 2)
    with_nursery.sendmsg([b"p"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fds)])
    _, ancillary, _, _ = with_nursery.recvmsg(1, _socket.CMSG_SPACE(4))
    (handle,) = struct.unpack("i", ancillary[0][2])
    posix.close(0)  # the parent's alone: who waits for the channel's other end waits for nobody else
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    poll.poll()


main(sys.argv[1])
