"""The client of one agent program: the Agent Client Protocol over its standard input and output.

It offers neither files nor terminals: they would be the worker's. Every other method of a client is "method not found".
What comes is hostile: bounded in length, work and number; who floods waits.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from gitward.agents.lines import Json, Lines, Skipped, parse
from gitward.agents.pace import Pace
from gitward.agents.texts import line_of, text_of
from gitward.agents.updates import TITLE, Asked, Dropped, Update, update_of

PROTOCOL_VERSION = 1
MOST_UNITS = 2_000_000.0  # of one turn: see `pace`
OUTBOX = 64  # messages that wait for the agent to read them
ERROR_TEXT = 2_000  # characters of an agent's own error
AUTH_REQUIRED = -32000
METHOD_NOT_FOUND = -32601
INTERNAL_ERROR = -32603
_ID = 256  # characters of a request's id

Hears = Callable[[Update | Asked], Awaitable[None]]


class PeerError(Exception):
    """The agent did not answer as the protocol wants. Its text quotes the agent: redact it."""


class ConnectionEnded(PeerError):
    """The program ended, or closed its output."""


class TooMuch(PeerError):
    """The program wrote more than one turn may."""


class Answered(PeerError):
    """The agent answered a request with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Outbox:
    """What is to be written to the program, in order; at most OUTBOX messages wait."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(OUTBOX)

    async def put(self, message: Json) -> None:
        await self._queue.put(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    async def end(self) -> None:
        """No more comes: the program reads the end of its input."""
        await self._queue.put(None)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._queue.get()
        if piece is None:
            raise StopAsyncIteration
        return piece


class Peer:
    """One connection. Give `take` what the program writes, and the program what `outbox` has."""

    def __init__(self, hears: Hears, *, pace: Pace | None = None) -> None:
        self.outbox = Outbox()
        self.session: str | None = None  # updates of another one, or before there is one, are dropped
        self.skipped = Skipped()
        self.dropped = Dropped()
        self._hears = hears
        self._pace = pace or Pace()
        self._lines = Lines(self.skipped)
        self._waiting: dict[int, asyncio.Future[Json]] = {}
        self._last_id = 0
        self._ended: PeerError | None = None

    async def request(self, method: str, params: Json) -> Json:
        """The agent's answer. The caller bounds the time.

        :raises PeerError: an error, or none.
        """
        if self._ended is not None:
            raise self._ended
        self._last_id += 1
        asked, answer = self._last_id, asyncio.get_running_loop().create_future()
        self._waiting[asked] = answer
        try:
            await self.outbox.put({"id": asked, "method": method, "params": params})
            result: Json = await answer
        finally:
            self._waiting.pop(asked, None)
        return result

    async def notify(self, method: str, params: Json) -> None:
        await self.outbox.put({"method": method, "params": params})

    async def take(self, piece: bytes) -> None:
        """What the program wrote; returns when more may come."""
        await self._pace.spend(len(piece))  # also of a line that does not end
        for line in self._lines.feed(piece):
            await self._pace.spend(0)
            await self._take_line(line)
        if self._pace.spent > MOST_UNITS:
            self.end(TooMuch("The agent wrote more than a turn may."))

    def end(self, why: PeerError) -> None:
        """Nothing more comes: who waits for an answer is told. Safe to call again."""
        self._ended = self._ended or why
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(self._ended)
                answer.exception()  # who asked may be gone by now: then nobody looks at it
        self._waiting.clear()

    async def _take_line(self, line: bytes) -> None:
        message = parse(line, self.skipped)
        if message is None or self._ended is not None:
            return
        if "method" not in message:
            self._answered(message)
        elif "id" in message:
            await self._asked(message)
        else:
            await self._told(message)

    def _answered(self, message: Json) -> None:
        asked = message.get("id")
        answer = self._waiting.pop(asked, None) if type(asked) is int else None
        if answer is None or answer.done():  # to nothing that was asked, or a second one
            self.dropped.note("answer")
            return
        result, error = message.get("result"), message.get("error")
        if isinstance(error, dict):
            answer.set_exception(_error_of(error))
        else:
            answer.set_result(result if isinstance(result, dict) else {})

    async def _told(self, message: Json) -> None:
        params = self._params(message)
        method = message["method"]
        if self.session is None and method == "session/update":
            return  # of a conversation that goes on: our own log has told it
        if isinstance(method, str) and method.startswith("_"):
            return  # an agent's own extension
        if method != "session/update" or not self._is_mine(params):
            self.dropped.note(method)
            return
        update = update_of(params.get("update"), self.dropped)
        if update is not None:
            await self._hears(update)

    async def _asked(self, message: Json) -> None:
        id_ = message["id"]
        if not (type(id_) is int and abs(id_) < 2**63) and not (isinstance(id_, str) and len(id_) <= _ID):
            self.dropped.note(message["method"])
            return
        params = self._params(message)
        if message["method"] == "session/request_permission" and self._is_mine(params):
            await self.outbox.put({"id": id_, "result": {"outcome": await self._permit(params)}})
            return
        self.dropped.note(message["method"])
        refusal = {
            "code": METHOD_NOT_FOUND,
            "message": "Method not found: this client offers neither files nor terminals.",
        }
        await self.outbox.put({"id": id_, "error": refusal})

    async def _permit(self, params: Json) -> Json:
        """What is asked for is allowed once: the sandbox is the wall."""
        call = params.get("toolCall")
        what = line_of(call.get("title") or call.get("toolCallId"), TITLE) if isinstance(call, dict) else ""
        option = _allowing(params.get("options"))
        await self._hears(Asked(what=what, answer="cancelled" if option is None else "allow_once"))
        return {"outcome": "cancelled"} if option is None else {"outcome": "selected", "optionId": option}

    def _is_mine(self, params: Json) -> bool:
        return self.session is not None and params.get("sessionId") == self.session

    @staticmethod
    def _params(message: Json) -> Json:
        params = message.get("params")
        return params if isinstance(params, dict) else {}


def _allowing(options: Any) -> str | None:
    """The option that allows once; one that allows for longer ends with the run all the same."""
    offered = [each for each in options[:20] if isinstance(each, dict)] if isinstance(options, list) else []
    for kind in ("allow_once", "allow_always"):
        for each in offered:
            id_ = each.get("optionId")
            if each.get("kind") == kind and isinstance(id_, str) and 0 < len(id_) <= _ID:
                return id_
    return None


def _error_of(error: Json) -> Answered:
    code = error.get("code")
    message = text_of(error.get("message"), ERROR_TEXT) or "an error without a message"
    data = error.get("data")
    details = data.get("details") or data.get("message") if isinstance(data, dict) else data
    if isinstance(details, str) and details and details not in message:
        message = f"{message}: {text_of(details, ERROR_TEXT)}"[:ERROR_TEXT]
    return Answered(code if type(code) is int else 0, message)
