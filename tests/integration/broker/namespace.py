"""Runs in namespaces of its own (user, network, mount): listens where the sandbox believes GitHub to be.

Argument: a hosts file. Standard input: a channel, over which the listening socket is sent. Ends with its channel.
"""

from __future__ import annotations

import socket
import subprocess
import sys

from gitward.grants import channel


def main() -> int:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "--bind", sys.argv[1], "/etc/hosts"], check=True)
    link = socket.socket(fileno=0)
    listener = socket.create_server(("127.0.0.1", 443), backlog=128)
    channel.send(link, {"op": "listening"}, [listener.fileno()])
    listener.close()
    try:
        channel.receive(link)
    except channel.ChannelClosed:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
