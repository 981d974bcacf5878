"""Values of an agent as texts that can be stored: of the type that is expected, cut, and without secrets."""

from __future__ import annotations

import json
from typing import Any

from gitward.telemetry.redaction import RedactedStream, Redactor

CUT = "…"


def text_of(value: object, limit: int) -> str:
    """The value if it is a text, at most `limit` characters of it; else an empty one. It may cut a secret."""
    return clean(value[:limit]) if isinstance(value, str) else ""


def clean(text: str) -> str:
    """Without what a database or UTF-8 cannot hold."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def masked(text: str, limit: int, redactor: Redactor) -> str:
    """At most `limit` characters, redacted; a secret is not cut in two, which would show a half of it."""
    if len(text) <= limit:
        return redactor.text(clean(text))
    shown = RedactedStream(redactor).feed(clean(text[:limit]).encode())
    return shown.decode("utf-8", "replace") + CUT


def line_of(value: object, limit: int) -> str:
    """A text on one line of printable characters; one character more than the limit tells `masked` that it was cut."""
    return "".join(each if each.isprintable() else " " for each in text_of(value, limit + 1)).strip()


def shown(value: object, limit: int) -> str:
    """Any value, for a person to read: a text as it is, everything else as JSON. About `limit` characters of it."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value[: limit + 1]
    return json.dumps(_pruned(value, [limit]), ensure_ascii=False)[: limit + 1]


def _pruned(value: Any, left: list[int], depth: int = 0) -> Any:
    """As much of it as is needed for so many characters: the whole may be megabytes."""
    left[0] -= 4
    if isinstance(value, str):
        value = value[: max(0, left[0]) + 1]
        left[0] -= len(value)
        return value
    if isinstance(value, dict | list) and (depth > 8 or left[0] <= 0):
        return CUT
    if isinstance(value, list):
        return [_pruned(each, left, depth + 1) for each in _while_left(value, left)]
    if isinstance(value, dict):
        return {each[:200]: _pruned(value[each], left, depth + 1) for each in _while_left(value, left)}
    return value


def _while_left(values: Any, left: list[int]) -> Any:
    for each in values:
        if left[0] <= 0:
            return
        yield each
