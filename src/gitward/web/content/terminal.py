"""A terminal's output as lines of coloured pieces. Colours and weights are kept; all that moves or hides is dropped.

`assets/output.js` does the same for output that comes while somebody watches; a test compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gitward.web.content.visible import visible

LONGEST_LINE = 4000  # characters that are shown of one line
# A sequence that has no end yet, or none at all, takes nothing but itself away.
_SEQUENCE = re.compile(
    r"\x1b\[([0-9;:]*)m"  # the only kind that counts
    r"|\x1b\[[0-?]*[ -/]*[@-~]?"
    r"|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?"
    r"|\x1b[ -/]*[0-~]?"
    r"|\x08"
)
_NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")


@dataclass(frozen=True, kw_only=True)
class Style:
    """How text looks."""

    color: str = ""
    background: str = ""
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    inverse: bool = False

    @property
    def classes(self) -> str:
        """Of the style sheet."""
        front, back = (self.background or "back", self.color or "front") if self.inverse else (
            self.color, self.background
        )  # fmt: skip
        names = [f"c-{front}" if front else "", f"b-{back}" if back else ""]
        names += [f"t-{name}" for name in ("bold", "dim", "italic", "underline") if getattr(self, name)]
        return " ".join(filter(None, names))


PLAIN = Style()


@dataclass(frozen=True, kw_only=True)
class Piece:
    classes: str
    text: str


Line = Sequence[Piece]


class Terminal:
    """Takes text as it comes; a style lasts until it is changed, also over line ends."""

    def __init__(self) -> None:
        self._style = PLAIN

    def lines(self, text: str) -> Iterator[Line]:
        """Those of a text: of one that ends with a line end, none after it."""
        rows = text.split("\n")
        if rows[-1] == "":
            rows.pop()
        for row in rows:
            yield self._line(row)

    def plain(self, row: str) -> str:
        """One line without its colours."""
        return "".join(each.text for each in self._line(row))

    def _line(self, row: str) -> Line:
        row = row.rstrip("\r")
        row = row[row.rfind("\r") + 1 :]  # what was written over, such as a progress bar's earlier states
        pieces: list[Piece] = []
        room, at = LONGEST_LINE, 0
        for found in _SEQUENCE.finditer(row):
            room -= self._add(pieces, row[at : found.start()], room)
            at = found.end()
            if found.group(1) is not None:
                self._style = restyled(self._style, found.group(1))
        left = len(row) - at - room
        self._add(pieces, row[at:], room)
        if left > 0:
            pieces.append(Piece(classes="more", text=f" … {left} more characters"))
        return pieces

    def _add(self, pieces: list[Piece], text: str, room: int) -> int:
        text = text[: max(0, room)]
        if text:
            pieces.append(Piece(classes=self._style.classes, text=visible(text)))
        return len(text)


def restyled(style: Style, codes: str) -> Style:
    """The style after `ESC [ codes m`."""
    numbers = [int(each[:4]) if each else 0 for each in re.split("[;:]", codes)][:32]
    at = 0
    while at < len(numbers):
        number = numbers[at]
        at += 1
        if number in {38, 48}:
            color, taken = _extended(numbers[at:])
            at += taken
            style = replace(style, color=color) if number == 38 else replace(style, background=color)
        else:
            style = _restyled(style, number)
    return style


def _restyled(style: Style, number: int) -> Style:
    if number == 0:
        return PLAIN
    if 30 <= number <= 37 or 90 <= number <= 97:
        return replace(style, color=_NAMES[number % 10])
    if 40 <= number <= 47 or 100 <= number <= 107:
        return replace(style, background=_NAMES[number % 10])
    return replace(style, **_CHANGES.get(number, {}))


_CHANGES: dict[int, dict[str, Any]] = {
    **{
        number: {name: True}
        for number, name in {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse"}.items()
    },
    **{number: {name: False} for number, name in {23: "italic", 24: "underline", 27: "inverse"}.items()},
    22: {"bold": False, "dim": False},
    39: {"color": ""},
    49: {"background": ""},
}


def _extended(rest: Sequence[int]) -> tuple[str, int]:
    """One of 256 or of 16 million colours as the nearest of eight, and how many numbers said so."""
    if rest[:1] == [5] and len(rest) > 1:
        return _of_256(rest[1]), 2
    if rest[:1] == [2] and len(rest) > 3:
        return _nearest(rest[1], rest[2], rest[3]), 4
    return "", len(rest)


def _of_256(number: int) -> str:
    if number < 16:
        return _NAMES[number % 8]
    if number < 232:
        cube = number - 16
        return _nearest(cube // 36 * 51, cube // 6 % 6 * 51, cube % 6 * 51)
    gray = (number - 232) * 10 + 8
    return _nearest(gray, gray, gray)


def _nearest(red: int, green: int, blue: int) -> str:
    most = max(red, green, blue)
    if most < 64:
        return "black"
    bits = (red > most * 0.6) + 2 * (green > most * 0.6) + 4 * (blue > most * 0.6)
    return _NAMES[bits]
