"""git's pkt-line framing (gitprotocol-common): four hex digits of length, then the payload."""

from __future__ import annotations

import re
from collections.abc import Iterator

FLUSH = b"0000"
MAX_PAYLOAD = 65516  # bytes: 65520 with the length itself
MAX_BAND = 65515  # bytes of data in one side-band-64k packet

_LENGTH = re.compile(rb"[0-9a-fA-F]{4}")


class MalformedPktLine(ValueError):
    """The bytes are no pkt-lines."""


def pkt(payload: bytes) -> bytes:
    """One pkt-line."""
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"a pkt-line of {len(payload)} bytes")
    return b"%04x" % (len(payload) + 4) + payload


def sideband(band: int, data: bytes) -> bytes:
    """Data on a band, in as many pkt-lines as it takes."""
    return b"".join(pkt(bytes([band]) + data[start : start + MAX_BAND]) for start in range(0, len(data), MAX_BAND))


class PktReader:
    """Cuts a stream that arrives in pieces into pkt-lines.

    Iterating gives what is complete: payloads, and None for a flush. What lies behind them stays in `rest`.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._position = 0

    @property
    def rest(self) -> bytes:
        return bytes(self._buffer[self._position :])

    def feed(self, piece: bytes) -> None:
        del self._buffer[: self._position]
        self._position = 0
        self._buffer += piece

    def __iter__(self) -> Iterator[bytes | None]:
        while len(self._buffer) - self._position >= 4:
            length = self._length()
            end = self._position + max(length, 4)
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[self._position + 4 : end])
            self._position = end
            yield payload if length else None

    def _length(self) -> int:
        digits = self._buffer[self._position : self._position + 4]
        if not _LENGTH.fullmatch(digits):
            raise MalformedPktLine("a pkt-line must begin with four hex digits")
        length = int(digits, 16)
        if 0 < length < 4 or length > MAX_PAYLOAD + 4:
            raise MalformedPktLine(f"a pkt-line of length {length} has no meaning here")
        return length
