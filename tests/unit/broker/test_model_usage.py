"""What an answer says it used, whole or in part, in the shapes of the four APIs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gitward.broker.policy.models import AnswerReader, Verdict
from gitward.grants.model_calls import Api
from gitward.grants.usage import Tokens
from gitward_standin.language_model import answers
from gitward_standin.language_model.answers import Answer, Usage
from gitward_standin.language_model.questions import Api as Asked
from gitward_standin.language_model.questions import Question
from gitward_standin.language_model.scripts import Say

SENT = Tokens(input=101, cached=10, output=21)
ANSWER = Answer(
    id="1",
    model="m-1",
    content=Say(text='Say "usage": {"input_tokens": 9}.'),
    usage=Usage(input=101, cached=10, output=21),
)
JSON = "application/json"


def read(api: Api, data: bytes, *, kind: str = "text/event-stream", ended: bool = True, size: int = 7) -> Verdict:
    reader = AnswerReader(api, status=200, content_type=kind)
    for at in range(0, len(data), size):
        reader.feed(data[at : at + size])
    return reader.verdict(ended=ended)


def stream(api: Api, *, wants_usage: bool = True) -> list[bytes]:
    asked = Question(
        api=Asked(api.value),
        model="m",
        streamed=True,
        wants_usage=wants_usage,
        tools=(),
        freeform=frozenset(),
        prompt="",
        done=0,
    )
    return list(answers.events(asked.api, ANSWER, asked))


@pytest.mark.parametrize("api", Api)
def test_the_numbers_are_those_that_the_provider_sent(api: Api) -> None:
    whole = json.dumps(answers.whole(Asked(api.value), ANSWER)).encode()
    for verdict in (read(api, b"".join(stream(api))), read(api, whole, kind=JSON)):
        assert (verdict.tokens, verdict.model, verdict.is_counted) == (SENT, "m-1", True)


@pytest.mark.parametrize("api", Api)
def test_a_stream_that_is_cut_is_not_counted_whole(api: Api) -> None:
    """Of Anthropic's the input is known from its first event; of the others nothing is."""
    events = stream(api)
    for end in range(len(events) - 3):
        verdict = read(api, b"".join(events[:end]), ended=False)
        assert not verdict.is_counted
        assert verdict.tokens in (None, SENT)
        assert verdict.tokens is None or api is Api.MESSAGES


def test_a_chat_stream_without_usage_is_unknown() -> None:
    verdict = read(Api.CHAT, b"".join(stream(Api.CHAT, wants_usage=False)))
    assert (verdict.outcome, verdict.tokens, verdict.is_counted) == ("answered", None, False)


USAGES: list[tuple[Api, Any, Tokens | None]] = [
    (
        Api.MESSAGES,
        {"input_tokens": 5, "cache_creation_input_tokens": 7, "cache_read_input_tokens": 11, "output_tokens": 3},
        Tokens(input=5, cache_written=7, cached=11, output=3),
    ),
    (Api.MESSAGES, {"input_tokens": 5, "output_tokens": 3, "cache_read_input_tokens": None}, Tokens(input=5, output=3)),
    (Api.MESSAGES, {"input_tokens": 5}, None),
    (Api.MESSAGES, {"input_tokens": "5", "output_tokens": 3}, None),
    (Api.MESSAGES, {"input_tokens": -5, "output_tokens": 3}, None),
    (Api.MESSAGES, {"input_tokens": True, "output_tokens": 3}, None),
    (Api.MESSAGES, {"input_tokens": 10**13, "output_tokens": 3}, None),
    (Api.MESSAGES, [], None),
    (
        Api.RESPONSES,
        {
            **{"input_tokens": 16, "input_tokens_details": {"cached_tokens": 11}, "total_tokens": 26},
            **{"output_tokens": 10, "output_tokens_details": {"reasoning_tokens": 4}},
        },
        Tokens(input=5, cached=11, output=10, reasoning=4),
    ),
    (Api.RESPONSES, {"input_tokens": 5, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 6}}, None),
    (Api.RESPONSES, {"input_tokens": 5.5, "output_tokens": 3}, None),
    (Api.CHAT, {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}, Tokens(input=5, output=3)),
    (
        Api.CHAT,
        {
            **{"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 10},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
        Tokens(input=5, output=5, reasoning=2),
    ),
    (Api.CHAT, {"prompt_tokens": 5}, None),
    (Api.CHAT, {"input_tokens": 5, "output_tokens": 3}, None),
    (
        Api.GEMINI,
        {
            **{"promptTokenCount": 16, "cachedContentTokenCount": 11, "toolUsePromptTokenCount": 2},
            **{"candidatesTokenCount": 6, "thoughtsTokenCount": 4, "totalTokenCount": 28},
        },
        Tokens(input=7, cached=11, output=10, reasoning=4),
    ),
    (Api.GEMINI, {"promptTokenCount": 5}, Tokens(input=5)),  # nothing was said
    (Api.GEMINI, {"candidatesTokenCount": 5}, None),
    (Api.GEMINI, {"promptTokenCount": 5, "cachedContentTokenCount": 6}, None),
]


_NAMES = {Api.GEMINI: "usageMetadata"}


@pytest.mark.parametrize(("api", "usage", "tokens"), USAGES)
def test_shapes_of_usage(api: Api, usage: Any, tokens: Tokens | None) -> None:
    document = {**answers.whole(Asked(api.value), ANSWER), _NAMES.get(api, "usage"): usage}
    verdict = read(api, json.dumps(document).encode(), kind=JSON, size=4096)
    assert (verdict.outcome, verdict.tokens, verdict.is_counted) == ("answered", tokens, tokens is not None)


def test_a_later_event_of_a_message_counts_instead_of_an_earlier() -> None:
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 9, "output_tokens": 1}}}
    delta = {"type": "message_delta", "delta": {}, "usage": {"input_tokens": 12, "output_tokens": 40}}
    data = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in (start, delta, delta))
    assert read(Api.MESSAGES, data).tokens == Tokens(input=12, output=40)


START, DELTA = "message_start", "message_delta"
CACHED, WRITTEN = "cache_read_input_tokens", "cache_creation_input_tokens"
STREAMS: dict[str, tuple[Any, Any, Tokens]] = {
    "cached tokens in both": (
        {"input_tokens": 6, CACHED: 500, WRITTEN: 40, "output_tokens": 1},
        {"input_tokens": 6, CACHED: 500, WRITTEN: 40, "output_tokens": 9},
        Tokens(input=6, cached=500, cache_written=40, output=9),
    ),
    "the input only at the end": (
        {"input_tokens": 0, "output_tokens": 0},
        {"input_tokens": 4522, WRITTEN: 4511, "output_tokens": 5},
        Tokens(input=4522, cache_written=4511, output=5),
    ),
    "all as input first": (
        {"input_tokens": 9000, CACHED: 0, WRITTEN: 0, "output_tokens": 0},
        {"input_tokens": 200, CACHED: 8800, WRITTEN: 0, "output_tokens": 7},
        Tokens(input=200, cached=8800, output=7),
    ),
}


@pytest.mark.parametrize(("first", "last", "tokens"), STREAMS.values(), ids=STREAMS)
def test_numbers_that_a_message_tells_twice_count_once(first: Any, last: Any, tokens: Tokens) -> None:
    events = [{"type": START, "message": {"usage": first}}, {"type": DELTA, "delta": {}, "usage": last}]
    data = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in events)
    verdict = read(Api.MESSAGES, data)
    assert (verdict.tokens, verdict.is_counted) == (tokens, True)


def test_a_gemini_stream_as_a_list_is_read_to_its_end() -> None:
    chunks = [json.loads(each.removeprefix(b"data: ")) for each in stream(Api.GEMINI)]
    data = json.dumps(chunks).encode()
    verdict = read(Api.GEMINI, data, kind=JSON)
    assert (verdict.outcome, verdict.tokens, verdict.is_counted, verdict.model) == ("answered", SENT, True, "m-1")
    assert read(Api.GEMINI, data[:-40], kind=JSON, ended=False).outcome == "cut"


def test_a_prompt_that_gemini_blocks_is_answered() -> None:
    document = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 5}}
    verdict = read(Api.GEMINI, json.dumps(document).encode(), kind=JSON)
    assert (verdict.outcome, verdict.tokens, verdict.is_counted) == ("answered", Tokens(input=5), True)


def test_an_event_without_end_is_unknown_and_takes_no_room() -> None:
    reader = AnswerReader(Api.RESPONSES, status=200, content_type="text/event-stream")
    reader.feed(b'event: response.completed\ndata: {"usage": "')
    for _ in range(64):
        reader.feed(b"x" * 65536)
    assert len(reader._kept) <= 1024 * 1024
    reader.feed(b'"}\n\n')
    verdict = reader.verdict(ended=True)
    assert (verdict.outcome, verdict.tokens, verdict.is_counted) == ("answered", None, False)


def test_a_compaction_of_a_conversation_is_counted() -> None:
    usage = {"input_tokens": 7, "output_tokens": 2, "total_tokens": 9}
    document = {"id": "resp_1", "object": "response.compaction", "output": [], "usage": usage}
    verdict = read(Api.RESPONSES, json.dumps(document).encode(), kind=JSON)
    assert (verdict.outcome, verdict.tokens, verdict.is_counted) == ("answered", Tokens(input=7, output=2), True)
