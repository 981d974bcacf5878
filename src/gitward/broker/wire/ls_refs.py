"""Distinguishes git's request for refs from a fetch (gitprotocol-v2, "Command Request")."""

from __future__ import annotations

from collections.abc import Iterator

from gitward.broker.wire.pktline import FLUSH, MAX_PAYLOAD

VERSION = "version=2"  # what the header Git-Protocol must say
_DELIMITER = b"0001"  # between the capabilities and the arguments
_COMMAND = b"command="


def is_ls_refs(body: bytes) -> bool:
    """Whether a request of protocol v2 is the command ls-refs, with its arguments, and nothing behind them."""
    packets = list(_packets(body))
    if b"".join(packets) != body or packets[-1:] != [FLUSH]:
        return False
    if packets.count(FLUSH) > 1 or packets.count(_DELIMITER) > 1:
        return False
    commands = [packet[4:].removesuffix(b"\n") for packet in packets if packet[4:].startswith(_COMMAND)]
    return commands == [_COMMAND + b"ls-refs"] and packets[0][4:].startswith(_COMMAND)


def _packets(body: bytes) -> Iterator[bytes]:
    """Whole packets with their length, up to the first that is none."""
    position = 0
    while position < len(body):
        length = _length(body[position : position + 4])
        if length is None or position + length > len(body):
            return
        yield body[position : position + length]
        position += length


def _length(digits: bytes) -> int | None:
    """Of a packet with these first four bytes; a flush and a delimiter are nothing but them."""
    if digits in (FLUSH, _DELIMITER):
        return 4
    if len(digits) != 4 or not all(digit in b"0123456789abcdefABCDEF" for digit in digits):
        return None
    length = int(digits, 16)
    return length if 4 <= length <= MAX_PAYLOAD + 4 else None
