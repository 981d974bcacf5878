"""Texts of a service for a terminal. What came out of a sandbox may hold sequences that write over what a person has
read, rename the window, put text into the clipboard or answer as the keyboard; and controls that reverse a line."""

from __future__ import annotations

import re
import unicodedata

_COLOUR = r"\x1b\[[0-9;]{0,24}m"
_SEQUENCE = re.compile(
    rf"(?P<colour>{_COLOUR})"
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # CSI
    r"|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC, DCS, SOS, PM, APC: up to their end
    r"|\x1b[ -/]*[0-~]"
)
_KEPT = "\n\t"


def plain(text: str) -> str:
    """Without any control: of the terminal, of the writing direction, or invisible."""
    return _without_controls(_SEQUENCE.sub("", text))


def coloured(text: str) -> str:
    """Like `plain`, but colours stay, and end with the text."""
    pieces, last, colours = [], 0, False
    for match in _SEQUENCE.finditer(text):
        pieces.append(_without_controls(text[last : match.start()]))
        if match["colour"]:
            pieces.append(match["colour"])
            colours = True
        last = match.end()
    pieces.append(_without_controls(text[last:]))
    return "".join(pieces) + ("\x1b[0m" if colours else "")


def one_line(text: str, width: int) -> str:
    """The first line, shortened."""
    line = " ".join(plain(text.split("\n", 1)[0]).split())
    return line if len(line) <= width else f"{line[: width - 1]}…"


def _without_controls(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(each for each in text if each in _KEPT or unicodedata.category(each) not in ("Cc", "Cf", "Cs"))
