"""A step as the four APIs tell it, whole or as a stream of events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gitward_standin.language_model.questions import Api, Question
from gitward_standin.language_model.scripts import Call, Say

_PIECE = 16  # characters of text in one event


@dataclass(frozen=True, kw_only=True)
class Usage:
    """The tokens that an answer says it cost."""

    input: int
    cached: int
    output: int


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is said."""

    id: str
    model: str
    content: Say | Call
    usage: Usage


def whole(api: Api, answer: Answer) -> dict[str, Any]:
    """An answer in one piece."""
    match api:
        case Api.MESSAGES:
            return _message(answer, content=[_block(answer)], stop_reason=_stop_reason(answer))
        case Api.RESPONSES:
            return _response(answer, status="completed", output=[_item(answer)])
        case Api.CHAT:
            message: dict[str, Any] = {"role": "assistant", "content": None, **_chat_part(answer)}
            choice = {"index": 0, "message": message, "finish_reason": _finish_reason(answer), "logprobs": None}
            return {**_chat(answer, "chat.completion"), "choices": [choice], "usage": _chat_usage(answer)}
        case Api.GEMINI:
            return _gemini(answer, _gemini_part(answer), is_last=True)


def events(api: Api, answer: Answer, question: Question) -> Iterator[bytes]:
    """The same as a stream. The last event is what makes it whole."""
    match api:
        case Api.MESSAGES:
            return (_sse(each, name=each["type"]) for each in _message_events(answer))
        case Api.RESPONSES:
            return (
                _sse({**each, "sequence_number": n}, name=each["type"]) for n, each in enumerate(_item_events(answer))
            )
        case Api.CHAT:
            return _chat_events(answer, wants_usage=question.wants_usage)
        case Api.GEMINI:
            return (_sse(each) for each in _gemini_chunks(answer))


def _sse(document: dict[str, Any], *, name: str | None = None) -> bytes:
    line = f"data: {json.dumps(document)}\n\n"
    return (line if name is None else f"event: {name}\n{line}").encode()


def _pieces(text: str) -> list[str]:
    return [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]


# Anthropic Messages


def _message(answer: Answer, *, content: list[dict[str, Any]], stop_reason: str | None) -> dict[str, Any]:
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {
            "input_tokens": answer.usage.input,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": answer.usage.cached,
            "output_tokens": answer.usage.output,
        },
    }


def _stop_reason(answer: Answer) -> str:
    if isinstance(answer.content, Call):
        return "tool_use"
    return "refusal" if answer.content.is_refusal else "end_turn"


def _block(answer: Answer) -> dict[str, Any]:
    if isinstance(answer.content, Call):
        return {
            "type": "tool_use",
            "id": f"toolu_{answer.id}",
            "name": answer.content.name,
            "input": answer.content.arguments,
        }
    return {"type": "text", "text": answer.content.text}


def _message_events(answer: Answer) -> Iterator[dict[str, Any]]:
    yield {"type": "message_start", "message": _message(answer, content=[], stop_reason=None)}
    block = _block(answer)
    if isinstance(answer.content, Call):
        deltas: list[dict[str, Any]] = [{"type": "input_json_delta", "partial_json": answer.content.text}]
        block = {**block, "input": {}}
    else:
        deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(answer.content.text)]
        block = {**block, "text": ""}
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    delta = {"stop_reason": _stop_reason(answer), "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": answer.usage.output}}
    yield {"type": "message_stop"}


# OpenAI Responses


def _response(answer: Answer, *, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    usage = answer.usage
    return {
        "id": f"resp_{answer.id}",
        "object": "response",
        "created_at": 1700000000,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": answer.model,
        "output": output,
        "parallel_tool_calls": True,
        "usage": {
            "input_tokens": usage.input + usage.cached,
            "input_tokens_details": {"cached_tokens": usage.cached},
            "output_tokens": usage.output,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage.input + usage.cached + usage.output,
        }
        if status == "completed"
        else None,
    }


def _item(answer: Answer) -> dict[str, Any]:
    call = answer.content
    if isinstance(call, Say):
        kind = {"type": "refusal", "refusal": call.text} if call.is_refusal else _output_text(call.text)
        return {
            "id": f"msg_{answer.id}",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [kind],
        }
    named = {"id": f"item_{answer.id}", "call_id": f"call_{answer.id}", "name": call.name, "status": "completed"}
    if call.namespace is not None:
        named["namespace"] = call.namespace
    if isinstance(call.arguments, str):
        return {**named, "type": "custom_tool_call", "input": call.arguments}
    return {**named, "type": "function_call", "arguments": call.text}


def _output_text(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


def _item_events(answer: Answer) -> Iterator[dict[str, Any]]:
    begun = _response(answer, status="in_progress", output=[])
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    item, at = _item(answer), {"output_index": 0}
    if isinstance(answer.content, Say):
        yield {"type": "response.output_item.added", **at, "item": {**item, "status": "in_progress", "content": []}}
        yield from _text_events(item, answer.content)
    else:
        key = "input" if item["type"] == "custom_tool_call" else "arguments"
        yield {"type": "response.output_item.added", **at, "item": {**item, "status": "in_progress", key: ""}}
        if key == "arguments":
            where = {**at, "item_id": item["id"]}
            yield {"type": "response.function_call_arguments.delta", **where, "delta": answer.content.text}
            yield {"type": "response.function_call_arguments.done", **where, "arguments": answer.content.text}
    yield {"type": "response.output_item.done", **at, "item": item}
    yield {"type": "response.completed", "response": _response(answer, status="completed", output=[item])}


def _text_events(item: dict[str, Any], say: Say) -> Iterator[dict[str, Any]]:
    where = {"output_index": 0, "content_index": 0, "item_id": item["id"]}
    (part,) = item["content"]
    if say.is_refusal:
        yield {"type": "response.content_part.added", **where, "part": {"type": "refusal", "refusal": ""}}
        yield {"type": "response.refusal.delta", **where, "delta": say.text}
        yield {"type": "response.refusal.done", **where, "refusal": say.text}
    else:
        yield {"type": "response.content_part.added", **where, "part": _output_text("")}
        for piece in _pieces(say.text):
            yield {"type": "response.output_text.delta", **where, "delta": piece}
        yield {"type": "response.output_text.done", **where, "text": say.text}
    yield {"type": "response.content_part.done", **where, "part": part}


# Chat Completions


def _chat(answer: Answer, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{answer.id}", "object": kind, "created": 1700000000, "model": answer.model}


def _chat_part(answer: Answer) -> dict[str, Any]:
    if isinstance(answer.content, Say):
        return {"refusal" if answer.content.is_refusal else "content": answer.content.text}
    function = {"name": answer.content.name, "arguments": answer.content.text}
    return {"tool_calls": [{"index": 0, "id": f"call_{answer.id}", "type": "function", "function": function}]}


def _finish_reason(answer: Answer) -> str:
    if isinstance(answer.content, Call):
        return "tool_calls"
    return "content_filter" if answer.content.is_refusal else "stop"


def _chat_usage(answer: Answer) -> dict[str, Any]:
    usage = answer.usage
    return {
        "prompt_tokens": usage.input + usage.cached,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.cached + usage.output,
    }


def _chat_events(answer: Answer, *, wants_usage: bool) -> Iterator[bytes]:
    head = _chat(answer, "chat.completion.chunk")

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return _sse({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]})

    yield chunk({"role": "assistant", "content": ""})
    if isinstance(answer.content, Say) and not answer.content.is_refusal:
        for piece in _pieces(answer.content.text):
            yield chunk({"content": piece})
    else:
        yield chunk(_chat_part(answer))
    yield chunk({}, _finish_reason(answer))
    if wants_usage:
        yield _sse({**head, "choices": [], "usage": _chat_usage(answer)})
    yield b"data: [DONE]\n\n"


# Gemini


def _gemini(answer: Answer, part: dict[str, Any], *, is_last: bool) -> dict[str, Any]:
    usage = answer.usage
    output = usage.output if is_last else 1
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [part]}, "index": 0}
    if is_last:
        candidate["finishReason"] = (
            "SAFETY" if isinstance(answer.content, Say) and answer.content.is_refusal else "STOP"
        )
    return {
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": usage.input + usage.cached,
            "cachedContentTokenCount": usage.cached,
            "candidatesTokenCount": output,
            "totalTokenCount": usage.input + usage.cached + output,
        },
        "modelVersion": answer.model,
        "responseId": answer.id,
    }


def _gemini_part(answer: Answer) -> dict[str, Any]:
    if isinstance(answer.content, Say):
        return {"text": answer.content.text}
    return {"functionCall": {"name": answer.content.name, "args": answer.content.arguments}}


def _gemini_chunks(answer: Answer) -> Iterator[dict[str, Any]]:
    """Each with the sums by then."""
    if isinstance(answer.content, Say):
        *pieces, last = _pieces(answer.content.text) or [""]
        for piece in pieces:
            yield _gemini(answer, {"text": piece}, is_last=False)
        yield _gemini(answer, {"text": last}, is_last=True)
    else:
        yield _gemini(answer, _gemini_part(answer), is_last=True)
