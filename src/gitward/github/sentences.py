"""Sentences of bounded length from foreign text."""

from __future__ import annotations

from collections.abc import Iterable

LONGEST = 600  # characters of a message
_LONGEST_ADVICE = 250


def fitted(beginning: str, details: Iterable[str], advice: str) -> str:
    """One line: the beginning, as many details as fit, how many were left out, and the advice, which always stands."""
    advice = _cut(" ".join(advice.split()), _LONGEST_ADVICE)
    text = _cut(" ".join(beginning.split()), LONGEST // 2)
    left = [" ".join(detail.split()) for detail in details]
    left = [detail for detail in left if detail]
    separator = " "
    while left:
        room = LONGEST - len(text) - len(separator) - len(advice) - len(" and 65536 more. ")
        if room < min(len(left[0]), 40):
            break
        text += separator + _cut(left.pop(0), room)
        separator = ", "
    if left:
        text += f" and {len(left)} more"
    text = _ended(text)
    return f"{text} {_ended(advice)}" if advice else text


def _ended(text: str) -> str:
    """With a full stop, unless it ends in an address, which one would spoil."""
    last = text.rsplit(" ", 1)[-1]
    return text if text.endswith((".", "!", "?", "…")) or "://" in last else f"{text}."


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: max(longest - 1, 0)]}…"
