"""What an agent program writes, as JSON objects: lines of bounded length, and of bounded work for who parses them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

MAX_LINE = 4 * 1024 * 1024  # bytes
MAX_PARTS = 100_000  # of one line: commas and brackets. A parser holds the event loop for as long as it counts them


@dataclass(kw_only=True)
class Skipped:
    """Lines that were not taken, by what was wrong with them."""

    too_long: int = 0
    too_dense: int = 0
    not_json: int = 0  # also what is no object

    @property
    def total(self) -> int:
        return self.too_long + self.too_dense + self.not_json


class Lines:
    """Cuts a stream into lines. What is longer than MAX_LINE is skipped as it comes, and never held."""

    def __init__(self, skipped: Skipped) -> None:
        self._skipped = skipped
        self._held = bytearray()
        self._skipping = False

    def feed(self, piece: bytes) -> list[bytes]:
        """The lines that the piece ends."""
        *ended, rest = piece.split(b"\n")
        lines = [line for line in map(self._line, ended) if line]
        self._hold(rest)
        return lines

    def _line(self, end: bytes) -> bytes:
        self._hold(end)
        line, skipping = bytes(self._held), self._skipping
        self._held.clear()
        self._skipping = False
        return b"" if skipping else line.strip()

    def _hold(self, part: bytes) -> None:
        if not self._skipping and len(self._held) + len(part) > MAX_LINE:
            self._skipping = True
            self._skipped.too_long += 1
            self._held = bytearray()
        if not self._skipping:
            self._held += part


def parse(line: bytes, skipped: Skipped) -> Json | None:
    """The object that a line is; None, and counted, when it is none or would cost too much."""
    if line.count(b",") + line.count(b"[") + line.count(b"{") > MAX_PARTS:
        skipped.too_dense += 1
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        skipped.not_json += 1
        return None
    return value
