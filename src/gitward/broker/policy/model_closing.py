"""Whether a model's answer closes its work, or asks for a tool, after which an agent must ask again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gitward.grants.model_calls import Api

# Calls of OpenAI's Responses API that the provider itself carries out, within the same answer.
_BY_THE_PROVIDER = frozenset({"web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call"})


class Closing:
    """Fed with the documents of one answer, whole or as a stream. What a provider does not say counts as not final."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._ended = False  # with the words of an end that is no call of a tool
        self._asks = False

    @property
    def is_final(self) -> bool:
        """The answer says that it ended, and no part that was seen asks for a tool."""
        return self._ended and not self._asks

    def unread(self) -> None:
        """A part of the answer was too long to be read: it may ask for a tool."""
        self._asks = True

    def event(self, document: Mapping[str, Any]) -> None:
        match self._api:
            case Api.MESSAGES:
                self._messages(document)
            case Api.RESPONSES:
                self._responses(document)
            case Api.CHAT:
                self._chat(document)
            case Api.GEMINI:
                self._gemini(document)

    def _messages(self, document: Mapping[str, Any]) -> None:
        """https://docs.anthropic.com/en/api/handling-stop-reasons"""
        delta = document.get("delta")
        reason = (delta if isinstance(delta, dict) else document).get("stop_reason")
        self._ended = self._ended or reason == "end_turn"
        self._asks = self._asks or reason == "tool_use"

    def _responses(self, document: Mapping[str, Any]) -> None:
        """An event carries the response, or an item of it; a whole answer is the response."""
        carried, item = document.get("response"), document.get("item")
        response = carried if isinstance(carried, dict) else document
        kinds = {str(each.get("type")) for each in _dicts(response, "output")}
        self._ended = self._ended or (response.get("status") == "completed" and "message" in kinds)
        kinds |= {str(item.get("type"))} if isinstance(item, dict) else set()
        self._asks = self._asks or any(kind.endswith("_call") for kind in kinds - _BY_THE_PROVIDER)

    def _chat(self, document: Mapping[str, Any]) -> None:
        """Some providers say `stop` also when they call tools."""
        for choice in _dicts(document, "choices"):
            parts = [part for part in (choice.get("message"), choice.get("delta")) if isinstance(part, dict)]
            self._ended = self._ended or choice.get("finish_reason") == "stop"
            self._asks = self._asks or any(part.get("tool_calls") or part.get("function_call") for part in parts)

    def _gemini(self, document: Mapping[str, Any]) -> None:
        for candidate in _dicts(document, "candidates"):
            content = candidate.get("content")
            parts = _dicts(content if isinstance(content, dict) else {}, "parts")
            self._ended = self._ended or candidate.get("finishReason") == "STOP"
            self._asks = self._asks or any("functionCall" in part for part in parts)


def _dicts(document: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    found = document.get(name)
    return (each for each in (found if isinstance(found, list) else []) if isinstance(each, dict))
