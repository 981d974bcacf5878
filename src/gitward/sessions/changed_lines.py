"""How many lines a diff adds and removes, from its hunks' headers: in one pass, whatever it holds."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Every line of a hunk begins with ' ', '+', '-' or '\', and those around hunks with a letter: content cannot forge one.
_HUNK = re.compile(rb"^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class ChangedLines:
    additions: int
    deletions: int


def changed_lines(diff: bytes) -> ChangedLines:
    """Of git's unified diff."""
    old = new = 0
    for found in _HUNK.finditer(diff):
        old += int(found[1] or 1)
        new += int(found[2] or 1)
    unchanged = diff.count(b"\n ")
    return ChangedLines(additions=max(0, new - unchanged), deletions=max(0, old - unchanged))
