"""JSON of a request, read so that no other reader can see another request in it."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

_NO_TEXT = re.compile(r"[\x00\ud800-\udfff]")


class Malformed(ValueError):
    """Not one JSON object in UTF-8, or one that two readers may read in two ways."""


def read_object(body: bytes) -> dict[str, Any]:
    """The object. Raises Malformed, also for a name that stands twice and for NaN and Infinity."""
    try:
        value = json.loads(body.decode(), object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise Malformed("not one JSON object in UTF-8") from error
    if not isinstance(value, dict):
        raise Malformed("not a JSON object")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise Malformed("a name occurs twice")
    for name, member in pairs:
        _require_text(name)
        _require_text(member)
    return names


def is_text(value: str) -> bool:
    """Whether each reader takes it for the same: some drop half a surrogate pair, or what stands behind a NUL."""
    return _NO_TEXT.search(value) is None


def _require_text(value: Any) -> None:
    if isinstance(value, str) and not is_text(value):
        raise Malformed("a text has a NUL, or half a character")
    if isinstance(value, list):
        for each in value:
            _require_text(each)


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise Malformed("a number is too large")
    return value


def _no_constant(name: str) -> NoReturn:
    raise Malformed(f"{name} is not JSON")
