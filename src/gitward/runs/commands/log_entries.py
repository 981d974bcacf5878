"""What waits to be written to the session's log: pieces of a command's output, and events among them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from gitward.runs.attempt import EventEntry
from gitward.sandboxes import Stream
from gitward.sessions.model import EventType, StepName

PIECE_CHARACTERS = 16 * 1024  # of one event


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A piece of a command's output."""

    step: StepName
    stream: Stream
    text: str

    def with_next(self, following: Piece) -> Piece | None:
        """Both as one piece; None: they are of different streams, or too long for one event."""
        if (self.step, self.stream) != (following.step, following.stream):
            return None
        if len(self.text) + len(following.text) > PIECE_CHARACTERS:
            return None
        return Piece(step=self.step, stream=self.stream, text=self.text + following.text)

    @property
    def length(self) -> int:
        return len(self.text)

    @cached_property
    def stored_size(self) -> int:
        """As it counts for the room that a run's output has."""
        return len(json.dumps(self.text))

    def entry(self) -> EventEntry:
        return EventType.OUTPUT, {"step": self.step, "stream": self.stream, "text": self.text}


@dataclass(frozen=True, kw_only=True)
class OtherEvent:
    """An event of an agent's turn."""

    kind: EventType
    data: Mapping[str, object]

    @cached_property
    def length(self) -> int:
        return len(json.dumps(self.data))

    def entry(self) -> EventEntry:
        return self.kind, self.data
