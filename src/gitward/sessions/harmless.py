"""Texts of others in what GitHub shows: nobody is called by them, and no issue is closed or linked."""

from __future__ import annotations

import re

# It has no width; GitHub then sees no name, number, address or tag.
_GAP = "\u200b"
_CALLS = re.compile(
    r"@(?=[A-Za-z0-9])"  # people and teams
    r"|#(?=[0-9])"  # issues, of other repositories too: owner/name#1
    r"|\b[Gg][Hh]-(?=[0-9])"
    r"|/(?:issues|pull|pulls|discussions)/(?=[0-9])"  # in whole addresses
    r"|<(?=[A-Za-z/!?])"  # HTML: a comment without end hides what follows
)


def harmless(text: str) -> str:
    """It reads the same."""
    return _CALLS.sub(lambda found: found.group() + _GAP, text)


def quoted(text: str) -> str:
    """The same as a quotation in Markdown, which nothing in it can end or outlive."""
    return "\n".join(f"> {line}".rstrip() for line in harmless(text).splitlines())
