"""Runs in network and mount namespaces of its own: there, GitHub's names lead to a listener on 127.0.0.1:443.

Started by the fixture `inside` (conftest.py): `unshare -rmn python namespace.py FD HOSTS`. FD is one end of a
channel. First it sends the listening socket; then it runs one command for each message, and sends the result.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import subprocess
import sys

from gitward.grants import channel

SIOCSIFFLAGS = 0x8914  # netdevice(7)
IFF_UP = 1


def raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))


def run(message: channel.Message) -> channel.Message:
    done = subprocess.run(
        message["argv"],
        input=message["stdin"],
        env=message["env"],
        cwd=message["cwd"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return {"code": done.returncode, "out": done.stdout, "err": done.stderr}


def main() -> None:
    raise_loopback()
    subprocess.run(["mount", "--bind", sys.argv[2], "/etc/hosts"], check=True)
    with (
        socket.socket(fileno=int(sys.argv[1])) as outside,
        socket.create_server(("127.0.0.1", 443)) as listener,
    ):
        channel.send(outside, {}, [listener.fileno()])
        while True:
            try:
                message, _ = channel.receive(outside)
            except channel.ChannelClosed:
                return
            channel.send(outside, run(message))


main()
