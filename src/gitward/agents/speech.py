"""What an agent says, gathered into messages and redacted while it comes."""

from __future__ import annotations

from gitward.agents.texts import clean
from gitward.agents.updates import Said
from gitward.telemetry.redaction import RedactedStream, Redactor

PIECE = 16 * 1024  # characters of one event
WAITING = 256 * 1024  # bytes of one message that wait to be told
SILENCE_SECONDS = 0.5  # an unfinished word is told after so long, when no secret can be under way


class Message:
    """One message, or one thought."""

    def __init__(self, said: Said, id_: str, redactor: Redactor) -> None:
        self.thought, self.id = said.thought, id_
        self._given = said.message  # the id that the agent gave
        self._stream = RedactedStream(redactor)
        self._ready = b""
        self._ended = False
        self._at = 0.0
        self.lost = 0  # pieces for which there was no room

    def takes(self, said: Said) -> bool:
        """Whether this is a piece of it."""
        return not self._ended and (self.thought, self._given) == (said.thought, said.message)

    def add(self, text: str, at: float) -> None:
        self._at = at
        if len(self._ready) > WAITING:
            self.lost += 1
            return
        self._ready += self._stream.feed(clean(text).encode())

    def end(self) -> None:
        """No more of it comes."""
        if not self._ended:
            self._ended = True
            self._ready += self._stream.flush()

    @property
    def is_told(self) -> bool:
        return self._ended and not self._ready

    def pieces(self, now: float) -> list[str]:
        """What can be told by now."""
        if not self._ended and now - self._at > SILENCE_SECONDS:
            self._ready += self._stream.pause()
        text = self._ready.decode("utf-8", "ignore" if not self._ended else "replace")
        self._ready = b""
        return [text[start : start + PIECE] for start in range(0, len(text), PIECE)]
