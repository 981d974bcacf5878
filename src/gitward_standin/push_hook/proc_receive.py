"""The protocol between git and the hook. Source: githooks(5), proc-receive."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator

from .git import ZERO
from .refusals import Push, Update, refused


def read_packet() -> bytes | None:
    """One pkt-line's payload; None for a flush packet."""
    length = int(sys.stdin.buffer.read(4), 16)
    return None if length == 0 else sys.stdin.buffer.read(length - 4)


def write_packet(text: str) -> None:
    data = text.encode()
    sys.stdout.buffer.write(b"%04x" % (len(data) + 4) + data)


def flush() -> None:
    sys.stdout.buffer.write(b"0000")
    sys.stdout.buffer.flush()


def read_section() -> Iterator[bytes]:
    while (line := read_packet()) is not None:
        yield line


def parse(line: bytes) -> Update:
    """`<old> <new> <ref>`."""
    old, new, ref = line.decode(errors="surrogateescape").rstrip("\n").split(" ", 2)
    return Update(ref=ref, old=None if old == ZERO else old, new=None if new == ZERO else new)


def main() -> None:
    """What the hook says on standard error is what the client shows after `remote:`."""
    rules = json.loads(os.environ["STANDIN_PUSH_RULES"])
    list(read_section())  # version and capabilities
    write_packet("version=1")
    flush()
    push = Push(updates=[parse(line) for line in read_section()], rules=rules)
    for update, reason in refused(push, say=lambda line: print(line, file=sys.stderr)):
        if reason:
            write_packet(f"ng {update.ref} {reason}")
        else:
            write_packet(f"ok {update.ref}")
            write_packet("option fall-through")
    flush()
