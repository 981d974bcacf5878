"""Texts of others, with every character in sight: what hides or reorders text is written out."""

from __future__ import annotations

import re

# Controls but tab and newline; marks that turn or hide text; separators and tags that no eye sees.
_UNSEEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff\ud800-\udfff"
)
_HIDDEN = re.compile(f"[{_UNSEEN}]")
_MARKS = re.compile("([\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4})[\u0300-\u036f"
                    "\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")  # fmt: skip


def visible(text: str) -> str:
    """The same text; `\\u202e` is the six letters ⟨U+202E⟩, and piles of combining marks are cut."""
    return _HIDDEN.sub(_written_out, _MARKS.sub(r"\1", text))


def one_line(text: str, limit: int = 300) -> str:
    """Fit for a row: without line ends, and not longer than so many characters."""
    shown = visible(" ".join(text[: 4 * limit].split()))
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def _written_out(found: re.Match[str]) -> str:
    return f"⟨U+{ord(found.group()):04X}⟩"
