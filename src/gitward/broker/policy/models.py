"""Reads what models answer while it passes: whether an answer is whole, what it used, and what the provider says when
it is none.

Nothing here changes or holds up a byte, and what is remembered of an answer is bounded. A provider is believed; what a
sandbox wrote (the request) is looked at for the model's name and for tools only.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from gitward.broker.policy.model_closing import Closing
from gitward.broker.policy.model_usage import UsageReader
from gitward.grants.model_calls import MAX_ERROR, MAX_MODEL, Api, Outcome
from gitward.grants.usage import Tokens

_HEAD_BYTES = 4096  # of a request, in which its model is looked for
_MOST_JSON = 4 * 1024 * 1024  # of an answer that is no stream; a longer one counts by its status
_MOST_LINE = 1024 * 1024  # of a stream; of a longer one only its event's name counts, and its tokens are unknown
_MODEL = re.compile(rb'"model"\s*:\s*"([\x20\x21\x23-\x5b\x5d-\x7e]{1,%d})"' % MAX_MODEL)
# Keys of JSON at any depth, and something in them; within a text their quotes would stand behind a backslash. Gemini's
# tools may be in a cache.
_TOOLS = re.compile(rb'"(?:tools|functions)"\s*:\s*[\[{]\s*[^\s\]}]|"cachedContent"\s*:\s*"')
# Codex asks for a title with all its tools, but wants the answer in a form of JSON, as nobody does for the work itself.
_FORM = re.compile(rb'"(?:format|response_format)"\s*:\s*\{\s*"type"\s*:\s*"json_schema"')
_LONGEST_MARK = 64  # bytes of these two that may stand in another piece
_PATHS = {
    "/messages": Api.MESSAGES,
    "/responses": Api.RESPONSES,
    "/responses/compact": Api.RESPONSES,
    "/chat/completions": Api.CHAT,
    ":generateContent": Api.GEMINI,
    ":streamGenerateContent": Api.GEMINI,
}
_PARAMETERS = re.compile(r";[^/]*")
_GEMINI_MODEL = re.compile(rf"/models/([\w.-]{{1,{MAX_MODEL}}}):", re.ASCII)
# A line of a stream is understood only when it has one of these: most hold a piece of text.
_TELLING = (
    *(b"message_stop", b"error", b"response.", b"finish_reason", b"[DONE]", b'"usage"'),
    *(b"finishReason", b"blockReason", b"usageMetadata", b"functionCall"),  # Gemini's
    *(b'"stop_reason"', b'"tool_calls"', b'"function_call"'),
)
_WHOLE = frozenset({"message_stop", "response.completed", "response.incomplete"})
_FAILED = frozenset({"error", "response.failed"})


def api_of(method: str, target: str) -> Api | None:
    """How a model is asked by this request; None when it asks none for an answer."""
    if method != "POST":
        return None
    path = _PARAMETERS.sub("", unquote(target.partition("?")[0])).strip()
    path = posixpath.normpath(path).casefold()  # as a server may read it
    return next((api for ending, api in _PATHS.items() if path.endswith(ending.casefold())), None)


def model_in(target: str) -> str:
    """The model that a request to Gemini names in its path; empty when there is none."""
    found = _GEMINI_MODEL.search(target.partition("?")[0])
    return found[1] if found else ""


class RequestReader:
    """Sees one request's bytes in their order."""

    def __init__(self) -> None:
        self._head = b""
        self._tail = b""  # where the key may have begun
        self._ended = False
        self.has_tools = False  # it offers the model some
        self._wants_form = False

    @property
    def model(self) -> str:
        """That is named in its first bytes; empty when none is seen."""
        found = _MODEL.search(self._head)
        return found[1].decode("ascii") if found else ""

    @property
    def is_side(self) -> bool:
        """Whether it is known to offer the model no tools, or to want JSON of a form for an answer. An agent asks that
        way for titles and summaries."""
        is_beside = self._wants_form or not self.has_tools
        return self._ended and is_beside and self._head.lstrip().startswith(b"{")

    def feed(self, piece: bytes) -> None:
        if len(self._head) < _HEAD_BYTES:
            self._head = (self._head + piece[:_HEAD_BYTES])[:_HEAD_BYTES]
        if not (self.has_tools and self._wants_form):
            seen = self._tail + piece
            self.has_tools = self.has_tools or _TOOLS.search(seen) is not None
            self._wants_form = self._wants_form or _FORM.search(seen) is not None
            self._tail = seen[-_LONGEST_MARK:]

    def end(self) -> None:
        """It was whole."""
        self._ended = True


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What an answer came to."""

    outcome: Outcome
    error: str = ""
    model: str = ""  # that answered, by its own word
    tokens: Tokens | None = None  # what was told of them
    is_counted: bool = False  # whether that is all that the answer cost
    is_final: bool = False  # the answer is known to ask for no tool


class AnswerReader:
    """Sees one answer's bytes in their order; `verdict` says at its end what it was."""

    def __init__(self, api: Api, *, status: int, content_type: str) -> None:
        self._api = api
        self._usage = UsageReader(api)
        self._status = status
        self._streamed = "text/event-stream" in content_type.lower() and status < 400
        self._kept = bytearray()  # of JSON: all; of a stream: the line that is not yet whole
        self._overlong = False
        self._event = ""  # the name of the stream's present event
        self._whole = False
        self._error: str | None = None
        self._closing = Closing(api)

    def feed(self, piece: bytes) -> None:
        if not self._streamed:
            room = _MOST_JSON - len(self._kept)
            self._overlong = self._overlong or len(piece) > room
            self._kept += piece[:room]
            return
        *lines, rest = piece.split(b"\n")
        for line in lines:
            self._line(self._take(line))
        self._keep(rest)

    def verdict(self, *, ended: bool) -> Verdict:
        """:param ended: whether the answer came to its end, by its own length."""
        outcome, error = self._judged(ended=ended)
        usage, whole = self._usage, outcome is Outcome.ANSWERED
        is_free = not 200 <= self._status < 300  # no provider counts what it refused at once
        is_counted = is_free or usage.is_counted(whole=whole)
        return Verdict(
            outcome=outcome,
            error=error,
            model=usage.model,
            tokens=usage.tokens,
            is_counted=is_counted,
            is_final=whole and self._closing.is_final,
        )

    def _judged(self, *, ended: bool) -> tuple[Outcome, str]:
        if not self._streamed:
            return self._of_json(ended=ended)
        if self._kept:
            self._line(self._take(b""))
        if self._error is not None:
            return Outcome.REFUSED, self._error
        return (Outcome.ANSWERED if self._whole else Outcome.CUT), ""

    def _keep(self, rest: bytes) -> None:
        room = _MOST_LINE - len(self._kept)
        self._overlong = self._overlong or len(rest) > room
        self._kept += rest[:room]

    def _take(self, end: bytes) -> bytes:
        """The line that `end` completes, without its line break; of one that is too long a part."""
        self._keep(end)
        line, self._kept = bytes(self._kept).rstrip(b"\r"), bytearray()
        return line

    def _line(self, line: bytes) -> None:
        overlong, self._overlong = self._overlong, False
        name, _, value = line.partition(b":")
        if overlong:
            self._closing.unread()
        if name == b"event":
            self._event = value.strip().decode("ascii", "replace")[:64]
        elif name == b"data" and (overlong or any(mark in value for mark in _TELLING)):
            self._data({} if overlong else _json(value), done=value.strip() == b"[DONE]")
        elif not line:
            self._event = ""

    def _data(self, document: Mapping[str, Any], *, done: bool) -> None:
        kind = str(document.get("type") or self._event)
        self._usage.event(kind, document)
        self._closing.event(document)
        if kind in _FAILED or (self._api in {Api.CHAT, Api.GEMINI} and document.get("error")):
            self._error = _sentence(document)
        elif self._api is Api.CHAT:
            self._whole = self._whole or done or _is_finished(document)
        elif self._api is Api.GEMINI:
            self._whole = self._whole or _is_whole(Api.GEMINI, document)
        else:
            self._whole = self._whole or kind in _WHOLE

    def _of_json(self, *, ended: bool) -> tuple[Outcome, str]:
        documents = [{}] if self._overlong else _documents(bytes(self._kept))
        document = documents[-1]
        if not 200 <= self._status < 300:
            return Outcome.REFUSED, _sentence(document) or _text(bytes(self._kept))
        if not ended:
            return Outcome.CUT, ""
        for each in documents:
            self._usage.document(each)
            self._closing.event(each)
        if self._overlong or _is_whole(self._api, document):
            return Outcome.ANSWERED, ""
        return Outcome.REFUSED, _sentence(document) or "the answer is not that of a model"


def _is_whole(api: Api, document: Mapping[str, Any]) -> bool:
    match api:
        case Api.MESSAGES:
            return document.get("type") == "message"
        case Api.RESPONSES:
            if document.get("object") == "response.compaction":
                return True
            return document.get("object") == "response" and document.get("status") in {"completed", "incomplete"}
        case Api.CHAT:
            return bool(document.get("choices")) and not document.get("error")
        case Api.GEMINI:
            return _is_finished(document) or _is_blocked(document)


def _is_finished(document: Mapping[str, Any]) -> bool:
    choices = document.get("choices") or document.get("candidates")
    return isinstance(choices, list) and any(
        isinstance(each, dict) and (each.get("finish_reason") or each.get("finishReason")) is not None
        for each in choices
    )


def _is_blocked(document: Mapping[str, Any]) -> bool:
    """Gemini does not answer what it takes for harmful: that is an answer."""
    feedback = document.get("promptFeedback")
    return isinstance(feedback, dict) and bool(feedback.get("blockReason"))


def _sentence(document: Mapping[str, Any]) -> str:
    """The provider's own words, wherever the usual ones put them."""
    response = document.get("response")
    error = document.get("error") or (response.get("error") if isinstance(response, dict) else None) or document
    if isinstance(error, str):
        return error[:MAX_ERROR]
    if isinstance(error, dict):
        said = next((error[key] for key in ("message", "detail", "title") if isinstance(error.get(key), str)), "")
        return str(said)[:MAX_ERROR]
    return ""


def _text(body: bytes) -> str:
    """A body that is no JSON, as one line; of a page nothing."""
    text = " ".join(body[: 4 * MAX_ERROR].decode("utf-8", "replace").split())
    return "" if text.startswith(("<", "{", "[")) else text[:MAX_ERROR]


def _json(data: bytes) -> dict[str, Any]:
    document = _parsed(data)
    return document if isinstance(document, dict) else {}


def _documents(data: bytes) -> list[dict[str, Any]]:
    """An answer in one piece; Gemini's streams may be a list of such. Never empty."""
    found = _parsed(data)
    documents: list[dict[str, Any]] = [
        each for each in (found if isinstance(found, list) else [found]) if isinstance(each, dict)
    ]
    return documents or [{}]


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
