"""JSON of a request, read so that no other reader can see another request in it."""

from __future__ import annotations

import json
from typing import Any, NoReturn


class Malformed(ValueError):
    """Not one JSON object in UTF-8, or one that two readers may read in two ways."""


def read_object(body: bytes) -> dict[str, Any]:
    """The object. Raises Malformed, also for a name that stands twice and for NaN and Infinity."""
    try:
        value = json.loads(body.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Malformed("not one JSON object in UTF-8") from error
    if not isinstance(value, dict):
        raise Malformed("not a JSON object")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise Malformed("a name occurs twice")
    return names


def _no_constant(name: str) -> NoReturn:
    raise Malformed(f"{name} is not JSON")
