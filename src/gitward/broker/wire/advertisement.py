"""What upstream advertises before a push, with `no-thin` added: inspected packs must be whole."""

from __future__ import annotations

from gitward.broker.wire.pktline import FLUSH, MAX_PAYLOAD, MalformedPktLine, PktReader, pkt

_NO_THIN = b" no-thin"


class NoThin:
    """Edits the answer to info/refs?service=git-receive-pack as it passes (gitprotocol-capabilities, "no-thin").

    What it does not understand passes as it is: a thin pack is refused later anyway.
    """

    def __init__(self) -> None:
        self._reader: PktReader | None = PktReader()  # until the capabilities have passed

    def feed(self, piece: bytes) -> bytes:
        if self._reader is None:
            return piece
        self._reader.feed(piece)
        passed: list[bytes] = []
        try:
            for payload in self._reader:
                passed.append(FLUSH if payload is None else pkt(_edited(payload)))
                if payload is not None and b"\0" in payload:
                    return b"".join([*passed, self.end()])
        except MalformedPktLine:
            return b"".join([*passed, self.end()])
        return b"".join(passed)

    def end(self) -> bytes:
        """What was held back; nothing is edited after it."""
        held = b"" if self._reader is None else self._reader.rest
        self._reader = None
        return held


def _edited(payload: bytes) -> bytes:
    """The first ref's line has the capabilities behind a NUL."""
    if b"\0" not in payload or len(payload) + len(_NO_THIN) > MAX_PAYLOAD:
        return payload
    line = payload.removesuffix(b"\n")
    return line + _NO_THIN + payload[len(line) :]
