"""How DBOS stores what steps take and return: JSON, never pickle, and nothing of an exception but its kind.

A pickled value is code for whoever reads the row; and an exception's text may quote what a run dealt with.
"""

from __future__ import annotations

import json
from typing import Any

from dbos import Serializer

_ERROR = "$error"


class StepError(Exception):
    """What is left of an exception that DBOS stored."""


def _encode(value: Any) -> Any:
    if isinstance(value, BaseException):
        return {_ERROR: type(value).__name__}
    raise TypeError(f"a step may only take and return JSON values, not {type(value).__name__}")


class JsonSerializer(Serializer):
    """Plain JSON. Tuples come back as lists, a stored exception as StepError."""

    def serialize(self, data: Any) -> str:
        """:raises TypeError, ValueError: `data` is neither JSON nor an exception."""
        if isinstance(data, dict) and set(data) == {_ERROR}:
            raise TypeError(f"{_ERROR} marks a stored exception")
        return json.dumps(data, default=_encode, separators=(",", ":"), allow_nan=False)

    def deserialize(self, serialized_data: str) -> Any:
        value = json.loads(serialized_data)
        return StepError(str(value[_ERROR])) if isinstance(value, dict) and set(value) == {_ERROR} else value

    def name(self) -> str:
        return "gitward_json"
