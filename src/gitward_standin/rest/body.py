"""Reads the values of a JSON body, with GitHub's words for what is wrong with them."""

from __future__ import annotations

from typing import Any

from gitward_standin.rest.call import ApiError, Json


def text(body: Json, name: str, *, required: bool = True) -> str | None:
    """A string of the request; null is the same as nothing. Raises 422."""
    value = body.get(name)
    if value is None and required:
        raise ApiError(422, f'Invalid request.\n\n"{name}" wasn\'t supplied.')
    if value is not None and not isinstance(value, str):
        raise _mistyped(name, value, "a string")
    return value


def flag(body: Json, name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise _mistyped(name, value, "a boolean")
    return value


def items(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise _mistyped(name, value, "an array")
    return value


def _mistyped(name: str, value: object, wanted: str) -> ApiError:
    return ApiError(422, f"Invalid request.\n\nFor 'properties/{name}', {value!r} is not {wanted}.")
