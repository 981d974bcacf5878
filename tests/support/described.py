"""Whether an event that was sent is what the API's description says of its type."""

from __future__ import annotations

from typing import Any

from gitward.api.event_shapes import EventOut


def check(event: dict[str, Any]) -> None:
    """Nothing is missing, nothing is there that is not described, and every value is what it should be."""
    shape = EventOut.model_validate(event)
    assert shape.model_dump(mode="json", by_alias=True, exclude_unset=True) == event
