"""An agent's updates as events of the session's log: gathered, redacted, and not more than somebody can read.

Chunks of one message become one event, and of a tool call the last state wins. A turn may tell so many events at once,
then so many a second, fewer the longer it lasts: who tells more is gathered for longer. What is beyond that is dropped
and counted.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any

from gitward.agents.speech import Message
from gitward.agents.texts import masked
from gitward.agents.updates import (
    DIFF_TEXT,
    ENTRY,
    ID,
    INPUT,
    OUTPUT,
    PATH,
    TITLE,
    Asked,
    Plan,
    Said,
    ToolCall,
    Update,
    Usage,
)
from gitward.telemetry.redaction import Redactor

Json = dict[str, Any]
Entry = tuple[str, Json]  # type and data of an event
Pending = Message | ToolCall | Plan | Usage | Asked

GATHER_SECONDS = 0.05
SLOWER_SECONDS = 0.2  # when a quarter of the events that may be told at once were told
BURST = 1250  # events
A_SECOND = 0.5  # events, after that; less and less, so that a turn of a week stays below 2,000
HALVED_SECONDS = 100.0  # of a turn, after which it is half as many, after twice as long a third, and so on
HELD = 64  # of what waits to be told
KEPT_CALLS = 256  # whose state is known; of an older one only what is new is told
LAST_MESSAGE = 16 * 1024  # characters, from its beginning
DONE = frozenset({"completed", "failed", "cancelled"})


class Events:
    """Takes updates, gives entries. `take` never waits."""

    def __init__(self, redactor: Redactor, *, clock: Callable[[], float] | None = None) -> None:
        self._redactor = redactor
        self._clock = clock or asyncio.get_running_loop().time
        self._began = self._clock()
        self._allowed, self._earned = float(BURST), 0.0
        self._pending: dict[object, Pending] = {}  # in the order in which they came up
        self._message: Message | None = None  # the one that grows
        self._messages = 0
        self._last: list[str] = []  # of the last message, as it came
        self._last_length = 0
        self._calls: dict[str, ToolCall] = {}
        self._unsent: list[Entry] = []
        self.tools = 0
        self.failed_tools = 0
        self.dropped = 0  # updates that no event tells of

    @property
    def last_message(self) -> str:
        """What the agent said last, redacted."""
        return masked("".join(self._last), LAST_MESSAGE, self._redactor).strip()

    @property
    def pause(self) -> float:
        """Seconds until `entries` should be asked for again."""
        return GATHER_SECONDS if self._refilled() > BURST * 3 / 4 else SLOWER_SECONDS

    def take(self, update: Update | Asked) -> None:
        match update:
            case Said():
                self._say(update)
            case ToolCall():
                self._call(update)
            case Asked():
                self._hold(object(), update)
            case _:
                self._hold(type(update), update)

    def entries(self, *, final: bool = False) -> list[Entry]:
        """What is to be told now. `final`: no more comes; calls that did not end are told as cancelled."""
        if final:
            self._end()
        allowed = int(self._refilled()) + (HELD if final else 0)
        if allowed < 1:
            return []
        waiting = [*self._unsent, *self._told()]
        if len(waiting) > allowed + HELD or final:  # the newest stay
            newest = waiting[-(allowed if final else allowed + HELD) :]
            self.dropped += len(waiting) - len(newest)
            waiting = newest
        told, self._unsent = waiting[:allowed], waiting[allowed:]
        self._allowed -= len(told)
        return told

    def _hold(self, key: object, what: Pending) -> None:
        if key not in self._pending and len(self._pending) >= HELD:  # the newest stay
            del self._pending[next(iter(self._pending))]
            self.dropped += 1
        self._pending[key] = what

    def _say(self, said: Said) -> None:
        if self._message is None or not self._message.takes(said):
            self._end_message()
            self._messages += 1
            self._message = Message(said, said.message or f"m{self._messages}", self._redactor)
            if not said.thought:
                self._last, self._last_length = [], 0
        self._message.add(said.text, self._clock())
        self._hold(self._message, self._message)
        if not said.thought and self._last_length <= LAST_MESSAGE:
            self._last.append(said.text)
            self._last_length += len(said.text)

    def _end_message(self) -> None:
        message, self._message = self._message, None
        if message is not None:
            message.end()
            self._hold(message, message)
            self.dropped += message.lost

    def _call(self, call: ToolCall) -> None:
        before = self._calls.pop(call.id, None)
        if before is None:
            self.tools += 1
            self._end_message()  # what is said after a tool call is another message
        else:
            call = replace(before, **{name: value for name, value in vars(call).items() if value is not None})
        if call.status == "failed" and (before is None or before.status != "failed"):
            self.failed_tools += 1
        self._calls[call.id] = call
        if len(self._calls) > KEPT_CALLS:
            del self._calls[next(iter(self._calls))]
        self._hold(("call", call.id), call)

    def _end(self) -> None:
        self._end_message()
        for call in self._calls.values():
            if call.status not in DONE:
                self._hold(("call", call.id), replace(call, status="cancelled"))

    def _refilled(self) -> float:
        earned = A_SECOND * HALVED_SECONDS * math.log1p((self._clock() - self._began) / HALVED_SECONDS)
        self._allowed = min(float(BURST), self._allowed + earned - self._earned)
        self._earned = earned
        return self._allowed

    def _told(self) -> Iterator[Entry]:
        pending, self._pending = self._pending, {}
        for what in pending.values():
            match what:
                case Message():
                    kind = "agent.thought" if what.thought else "agent.message"
                    for text in what.pieces(self._clock()):
                        yield kind, {"message": self._line(what.id, ID), "text": text}
                    if not what.is_told and what is self._message:
                        self._pending[what] = what  # its unfinished word
                case ToolCall():
                    yield "agent.tool", self._tool(what)
                case Plan():
                    yield "agent.plan", {"entries": [self._lines(asdict(each), ENTRY) for each in what.entries]}
                case Usage():
                    yield "agent.usage", {"used": what.used, "size": what.size}
                case Asked():
                    yield "agent.asked", self._lines(asdict(what), TITLE)

    def _tool(self, call: ToolCall) -> Json:
        return {
            "id": self._line(call.id, ID),
            "title": self._line(call.title or "", TITLE),
            "kind": call.kind or "other",
            "status": call.status or "pending",
            "paths": [self._line(path, PATH) for path in call.paths or ()],
            "input": None if call.input is None else masked(call.input, INPUT, self._redactor),
            "output": None if call.output is None else masked(call.output, OUTPUT, self._redactor),
            "diff": [
                {
                    "path": self._line(each.path, PATH),
                    "old": masked(each.old, DIFF_TEXT, self._redactor),
                    "new": masked(each.new, DIFF_TEXT, self._redactor),
                }
                for each in call.diff or ()
            ],
        }

    def _lines(self, texts: Json, limit: int) -> Json:
        return {name: self._line(text, limit) for name, text in texts.items()}

    def _line(self, text: str, limit: int) -> str:
        return masked(text, limit, self._redactor)
