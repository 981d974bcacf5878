"""Reads the tokens that an answer of a model says it used, in the shape of each API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gitward.grants.model_calls import MAX_MODEL, Api
from gitward.grants.usage import Tokens

_MOST = 10**12  # tokens of one answer
_MODEL = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_LAST = frozenset({"response.completed", "response.incomplete", "response.failed"})
_CUMULATIVE = frozenset({Api.CHAT, Api.GEMINI})  # whose numbers are known when the stream is whole

Json = Mapping[str, Any]


class UsageReader:
    """Given one answer's documents in their order. Numbers of another shape are unknown, not 0."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._told: dict[str, Any] = {}
        self._is_last = False  # nothing more will be told
        self.model = ""

    @property
    def tokens(self) -> Tokens | None:
        """What was told by now; None: nothing, or nothing that is understood."""
        return _READERS[self._api](self._told) if self._told else None

    def is_counted(self, *, whole: bool) -> bool:
        """Whether `tokens` are all that the answer used. `whole`: it came to its end."""
        return self.tokens is not None and (self._is_last or (whole and self._api in _CUMULATIVE))

    def event(self, kind: str, document: Json) -> None:
        """One event of a stream."""
        match self._api, kind:
            case Api.MESSAGES, "message_start":
                self._take(_part(document, "message"))
            case Api.MESSAGES, "message_delta":  # cumulative; what it leaves out stands as it was told before
                self._take(document)
                self._is_last = isinstance(_part(document, "usage").get("output_tokens"), int)
            case Api.RESPONSES, _ if kind.startswith("response."):
                self._take(_part(document, "response"))
                self._is_last = self._is_last or kind in _LAST
            case ((Api.CHAT | Api.GEMINI), _):
                self._take(document)

    def document(self, document: Json) -> None:
        """An answer in one piece."""
        self._take(document)
        self._is_last = True

    def _take(self, document: Json) -> None:
        model = document.get("model") or document.get("modelVersion")
        if not self.model and isinstance(model, str) and len(model) <= MAX_MODEL and _MODEL.fullmatch(model):
            self.model = model
        usage = _part(document, "usageMetadata" if self._api is Api.GEMINI else "usage")
        self._told.update({name: value for name, value in usage.items() if value is not None})


def _part(document: Json, name: str) -> Json:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _of_messages(told: Json) -> Tokens | None:
    cache = ("cache_read_input_tokens", "cache_creation_input_tokens")
    counts = _counts(told, "input_tokens", "output_tokens", optional=cache)
    if counts is None:
        return None
    input_, output, cached, written = counts
    return Tokens(input=input_, cached=cached, cache_written=written, output=output)


def _of_responses(told: Json) -> Tokens | None:
    return _of_openai(
        _counts(told, "input_tokens", "output_tokens", optional=("total_tokens",)),
        _part(told, "input_tokens_details"),
        _part(told, "output_tokens_details"),
    )


def _of_chat(told: Json) -> Tokens | None:
    return _of_openai(
        _counts(told, "prompt_tokens", "completion_tokens", optional=("total_tokens",)),
        _part(told, "prompt_tokens_details"),
        _part(told, "completion_tokens_details"),
    )


def _of_gemini(told: Json) -> Tokens | None:
    """What was cached is a part of the prompt; thoughts stand beside the candidates."""
    names = ("promptTokenCount", "cachedContentTokenCount", "toolUsePromptTokenCount")
    counts = _counts(told, names[0], optional=(*names[1:], "candidatesTokenCount", "thoughtsTokenCount"))
    if counts is None:
        return None
    prompt, cached, of_tools, candidates, thoughts = counts
    if cached > prompt:
        return None
    return Tokens(input=prompt - cached + of_tools, cached=cached, output=candidates + thoughts, reasoning=thoughts)


_READERS = {
    Api.MESSAGES: _of_messages,
    Api.RESPONSES: _of_responses,
    Api.CHAT: _of_chat,
    Api.GEMINI: _of_gemini,
}


def _of_openai(counts: list[int] | None, of_input: Json, of_output: Json) -> Tokens | None:
    cached = _counts(of_input, optional=("cached_tokens",))
    reasoning = _counts(of_output, optional=("reasoning_tokens",))
    if counts is None or cached is None or reasoning is None:
        return None
    input_, output, total = counts
    if total == input_ + output + reasoning[0]:  # some providers tell what was thought beside what was said
        output += reasoning[0]
    if cached[0] > input_ or reasoning[0] > output:
        return None
    return Tokens(input=input_ - cached[0], cached=cached[0], output=output, reasoning=reasoning[0])


def _counts(told: Json, *needed: str, optional: tuple[str, ...] = ()) -> list[int] | None:
    values = [told.get(name) for name in needed] + [told.get(name) or 0 for name in optional]
    if any(isinstance(each, bool) or not isinstance(each, int) or not 0 <= each <= _MOST for each in values):
        return None
    return [int(each or 0) for each in values]
