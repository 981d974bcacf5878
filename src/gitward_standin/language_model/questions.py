"""What a model is asked, read out of the four APIs into one value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Json = Mapping[str, Any]


class Api(StrEnum):
    """How a model is asked."""

    MESSAGES = "messages"
    RESPONSES = "responses"
    CHAT = "chat"
    GEMINI = "gemini"


PATHS = {
    "/v1/messages": Api.MESSAGES,
    "/v1/responses": Api.RESPONSES,
    "/v1/chat/completions": Api.CHAT,
}
_GEMINI = re.compile(r"/v1(?:beta)?/models/([\w.-]+):(stream)?[gG]enerateContent")


def asked_by(path: str) -> tuple[Api, Json] | None:
    """How this path asks a model, and what it says beside the body. None: it asks none."""
    if path in PATHS:
        return PATHS[path], {}
    found = _GEMINI.fullmatch(path)
    return None if found is None else (Api.GEMINI, {"model": found[1], "stream": found[2] is not None})


@dataclass(frozen=True, kw_only=True)
class Question:
    """One request for an answer."""

    api: Api
    model: str
    streamed: bool
    wants_usage: bool  # whether a stream of chat completions shall tell it
    tools: tuple[str, ...]  # names, of those that can be called
    freeform: frozenset[str]  # of these, the ones that take a text instead of JSON
    prompt: str  # the last thing that a person said
    done: int  # how many tool calls have been answered since
    form: tuple[str, ...] = ()  # the names that JSON for an answer must have; empty: the answer is text

    @property
    def is_side(self) -> bool:
        """A call beside the work: for a title, a summary, a guess. It offers no tools, or wants JSON of a form: Codex
        asks so for a title when its turn ends, and offers tools."""
        return not self.tools or bool(self.form)


def read(api: Api, body: Json) -> Question:
    """Wrong bodies raise what Python raises; the server answers 400."""
    prompt, done = _READERS[api](body)
    tools = list(_tools(body))
    named = [(_name(each), each.get("type") == "custom") for each in tools]
    return Question(
        api=api,
        model=str(body["model"]),
        streamed=bool(body.get("stream")),
        wants_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        form=_form(body),
        tools=tuple(name for name, _ in named if name),
        freeform=frozenset(name for name, is_text in named if is_text),
        prompt=prompt,
        done=done,
    )


def _form(body: Json) -> tuple[str, ...]:
    form = (body.get("text") or {}).get("format") or {}
    return tuple(form["schema"]["required"]) if form.get("type") == "json_schema" else ()


def _tools(body: Json) -> Iterator[Json]:
    """Those of the request, and those that Codex offers beside it."""
    beside = body.get("input")
    entries = beside if isinstance(beside, list) else []
    lists = [body.get("tools"), *(each.get("tools") for each in entries if each.get("type") == "additional_tools")]
    for tools in lists:
        for tool in tools or []:
            yield from tool.get("tools") or tool.get("functionDeclarations") or [tool]


def _name(tool: Json) -> str:
    function = tool.get("function")
    return str((function if isinstance(function, dict) else tool).get("name") or "")


def _of_messages(body: Json) -> tuple[str, int]:
    prompt, done = "", 0
    for message in body["messages"]:
        if message["role"] != "user":
            continue
        results = [block for block in _blocks(message["content"]) if block.get("type") == "tool_result"]
        text = _text([block for block in _blocks(message["content"]) if not _is_reminder(block)])
        if results:
            done += len(results)
        elif text:
            prompt, done = text, 0
    return prompt, done


def _is_reminder(block: Json) -> bool:
    """Claude Code's own words to the model, which stand beside a person's."""
    return str(block.get("text", "")).lstrip().startswith("<system-reminder>")


def _of_responses(body: Json) -> tuple[str, int]:
    entries = body["input"]
    if isinstance(entries, str):
        return entries, 0
    prompt, done = "", 0
    for entry in entries:
        if str(entry.get("type", "")).endswith("_call_output"):
            done += 1
        elif entry.get("role") == "user":
            prompt, done = _text(entry["content"]), 0
    return prompt, done


def _of_chat(body: Json) -> tuple[str, int]:
    prompt, done = "", 0
    for message in body["messages"]:
        if message["role"] == "user":
            prompt, done = _text(message["content"]), 0
        elif message["role"] == "tool":
            done += 1
    return prompt, done


def _of_gemini(body: Json) -> tuple[str, int]:
    prompt, done = "", 0
    for content in body["contents"]:
        results = sum("functionResponse" in part for part in content["parts"])
        if results:
            done += results
        elif content.get("role", "user") == "user":
            prompt, done = _text(content["parts"]), 0
    return prompt, done


_READERS = {
    Api.MESSAGES: _of_messages,
    Api.RESPONSES: _of_responses,
    Api.CHAT: _of_chat,
    Api.GEMINI: _of_gemini,
}


def _blocks(content: str | Sequence[Json]) -> Iterable[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _text(content: str | Sequence[Json]) -> str:
    return "\n".join(str(block["text"]) for block in _blocks(content) if isinstance(block.get("text"), str))
