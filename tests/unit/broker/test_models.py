"""Which answers of a model are whole, and what a provider says when one is none."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from gitward.broker.policy.models import AnswerReader, RequestReader, Verdict, api_of
from gitward.grants.model_calls import MAX_ERROR, Api, Outcome
from gitward_standin.language_model import answers, faults
from gitward_standin.language_model.answers import Answer, Usage
from gitward_standin.language_model.faults import SENTENCES, Fault
from gitward_standin.language_model.questions import Api as Asked
from gitward_standin.language_model.questions import Question
from gitward_standin.language_model.scripts import Call, Say

CONTENTS: dict[str, Say | Call] = {
    "words": Say(text="All of it is done: error, response.failed, message_stop."),
    "a refusal": Say(text="No.", is_refusal=True),
    "a call": Call(name="bash", arguments={"command": "echo '[DONE]'"}),
}


def judged(api: Api, data: bytes, *, status: int = 200, kind: str = "text/event-stream", ended: bool = True) -> Verdict:
    """The verdict, which must not depend on how the bytes are cut."""
    verdicts = []
    for size in (1, 7, len(data) or 1):
        reader = AnswerReader(api, status=status, content_type=kind)
        for at in range(0, len(data), size):
            reader.feed(data[at : at + size])
        verdicts.append(reader.verdict(ended=ended))
    assert len(set(map(repr, verdicts))) == 1
    return verdicts[0]


def question(api: Api) -> Question:
    return Question(
        api=Asked(api.value),
        model="m",
        streamed=True,
        wants_usage=True,
        tools=(),
        freeform=frozenset(),
        prompt="",
        done=0,
    )


def streamed(api: Api, content: Say | Call) -> list[bytes]:
    return list(answers.events(Asked(api.value), answer(content), question(api)))


def answer(content: Say | Call) -> Answer:
    return Answer(id="1", model="m", content=content, usage=Usage(input=1, cached=2, output=3))


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
@pytest.mark.parametrize("api", Api)
def test_a_whole_answer_is_one(api: Api, content: Say | Call) -> None:
    assert judged(api, b"".join(streamed(api, content))).outcome is Outcome.ANSWERED
    body = json.dumps(answers.whole(Asked(api.value), answer(content))).encode()
    assert judged(api, body, kind="application/json").outcome is Outcome.ANSWERED


@pytest.mark.parametrize("api", Api)
def test_an_answer_is_final_that_asks_for_no_tool(api: Api) -> None:
    for content, is_final in ((CONTENTS["words"], True), (CONTENTS["a call"], False)):
        assert judged(api, b"".join(streamed(api, content))).is_final is is_final
        body = json.dumps(answers.whole(Asked(api.value), answer(content))).encode()
        assert judged(api, body, kind="application/json").is_final is is_final
        assert not judged(api, body, kind="application/json", ended=False).is_final


NOT_FINAL = {
    "it says stop, and calls a tool": (
        Api.CHAT,
        [
            {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"name": "bash"}}]}}]},
            {"choices": [{"delta": {}, "finish_reason": "stop"}]},
        ],
    ),
    "it is incomplete": (
        Api.RESPONSES,
        [{"type": "response.incomplete", "response": {"status": "incomplete", "output": [{"type": "message"}]}}],
    ),
    "a part is too long to be read": (
        Api.GEMINI,
        [
            {"candidates": [{"content": {"parts": [{"functionCall": {"name": "w", "args": "x" * 1_100_000}}]}}]},
            {"candidates": [{"finishReason": "STOP"}]},
        ],
    ),
    "its output is not shown": (Api.RESPONSES, [{"type": "response.completed", "response": {"output": []}}]),
    "an item of it is a call": (
        Api.RESPONSES,
        [
            {"type": "response.output_item.done", "item": {"type": "custom_tool_call"}},
            {"type": "response.completed", "response": {"status": "completed", "output": [{"type": "message"}]}},
        ],
    ),
    "it reached its limit": (
        Api.MESSAGES,
        [{"type": "message_delta", "delta": {"stop_reason": "max_tokens"}}, {"type": "message_stop"}],
    ),
    "a call came before its end": (
        Api.GEMINI,
        [
            {"candidates": [{"content": {"parts": [{"functionCall": {"name": "ls"}}]}}]},
            {"candidates": [{"content": {"parts": [{"text": ""}]}, "finishReason": "STOP"}]},
        ],
    ),
}


@pytest.mark.parametrize(("api", "documents"), NOT_FINAL.values(), ids=NOT_FINAL)
def test_an_answer_that_may_go_on_is_not_final(api: Api, documents: list[dict[str, Any]]) -> None:
    reader = AnswerReader(api, status=200, content_type="text/event-stream")
    for each in documents:
        reader.feed(f"data: {json.dumps(each)}\n\n".encode())
    verdict = reader.verdict(ended=True)
    assert (verdict.outcome, verdict.is_final) == (Outcome.ANSWERED, False)


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
@pytest.mark.parametrize("api", Api)
def test_a_stream_that_breaks_off_anywhere_is_cut(api: Api, content: Say | Call) -> None:
    events = streamed(api, content)
    last = 3 if api is Api.CHAT else 1  # what says that it is whole, and what follows it
    for end in range(len(events) - last + 1):
        assert judged(api, b"".join(events[:end]), ended=False).outcome is Outcome.CUT


@pytest.mark.parametrize("api", Api)
@pytest.mark.parametrize("fault", [Fault.UNAUTHORIZED, Fault.TOO_MANY, Fault.BROKEN])
def test_a_status_of_failure_brings_the_provider_s_sentence(api: Api, fault: Fault) -> None:
    body = json.dumps(faults.error(Asked(api.value), fault)).encode()
    verdict = judged(api, body, status=fault.status, kind="application/json")
    assert (verdict.outcome, verdict.error, verdict.is_counted) == (Outcome.REFUSED, SENTENCES[fault], True)


@pytest.mark.parametrize("api", Api)
def test_an_error_within_a_stream_is_a_refusal(api: Api) -> None:
    name, document = faults.late_error(Asked(api.value), Fault.LATE_ERROR)
    line = f"data: {json.dumps(document)}\n\n"
    late = (line if name is None else f"event: {name}\n{line}").encode()
    verdict = judged(api, b"".join(streamed(api, CONTENTS["words"])[:3]) + late)
    assert (verdict.outcome, verdict.error) == (Outcome.REFUSED, SENTENCES[Fault.LATE_ERROR])
    assert not verdict.is_counted


def bodies() -> Iterator[tuple[bytes, str]]:
    yield b'{"error": "plain"}', "plain"
    yield b'{"detail": "a detail"}', "a detail"
    yield b'{"message": "a message"}', "a message"
    yield b'{"error": {"code": 3}}', ""
    yield b"Too  many\nrequests", "Too many requests"
    yield b"<html>", ""
    yield b"[1]", ""
    yield b"\xff\xfe", "��"
    yield b"", ""
    yield b"[" * 200_000, ""
    yield b"x" * 10_000, "x" * MAX_ERROR
    yield json.dumps({"error": {"message": "y" * 10_000}}).encode(), "y" * MAX_ERROR


@pytest.mark.parametrize(("body", "sentence"), list(bodies()))
def test_whatever_a_gateway_answers_is_at_most_a_short_sentence(body: bytes, sentence: str) -> None:
    reader = AnswerReader(Api.CHAT, status=503, content_type="whatever")
    reader.feed(body)
    verdict = reader.verdict(ended=True)
    assert (verdict.outcome, verdict.error) == (Outcome.REFUSED, sentence)


@pytest.mark.parametrize("body", [b"{}", b"null", b'{"choices": []}', b"<html>hello</html>", b""])
@pytest.mark.parametrize("api", Api)
def test_a_page_in_place_of_an_answer_is_none(api: Api, body: bytes) -> None:
    assert judged(api, body, kind="application/json").outcome is Outcome.REFUSED


def test_an_event_too_long_to_be_read_counts_by_its_name() -> None:
    long = {"type": "response.completed", "response": {"output": "x" * 1_000_000}}
    data = f"event: response.completed\ndata: {json.dumps(long)}\n\n".encode()
    reader = AnswerReader(Api.RESPONSES, status=200, content_type="text/event-stream")
    reader.feed(data)
    assert reader.verdict(ended=True).outcome is Outcome.ANSWERED


def test_what_is_kept_of_an_answer_is_bounded() -> None:
    for kind, api in (("text/event-stream", Api.MESSAGES), ("application/json", Api.CHAT)):
        reader = AnswerReader(api, status=200, content_type=kind)
        for _ in range(200):
            reader.feed(b"x" * 65536)
        assert len(reader._kept) <= 4 * 1024 * 1024


def test_reading_costs_in_proportion() -> None:
    """A hostile provider is no worse than a long answer: one byte at a time, and lines without end."""

    def cost(count: int) -> float:
        reader = AnswerReader(Api.MESSAGES, status=200, content_type="text/event-stream")
        began = time.process_time()
        for _ in range(count):
            reader.feed(b'data: {"error"')
        return time.process_time() - began

    assert min(cost(80_000) for _ in range(3)) < 4 * min(cost(20_000) for _ in range(3)) * 2 + 0.05


@pytest.mark.parametrize(
    ("method", "target", "api"),
    [
        ("POST", "/v1/messages", Api.MESSAGES),
        ("POST", "/v1/messages?beta=true", Api.MESSAGES),
        ("POST", "/v1/messages/count_tokens", None),
        ("POST", "/anthropic/v1/messages", Api.MESSAGES),
        ("POST", "/v1/responses", Api.RESPONSES),
        ("POST", "/v1/responses/compact", Api.RESPONSES),
        ("POST", "/openai/v1/chat/completions", Api.CHAT),
        ("POST", "/v1/%6dessages", Api.MESSAGES),
        ("POST", "/v1/Messages/", Api.MESSAGES),
        ("POST", "/v1/messages/.", Api.MESSAGES),
        ("POST", "/v1/messages;a=1", Api.MESSAGES),
        ("POST", "/v1/messages%20", Api.MESSAGES),
        ("POST", "/v1beta/models/x%3AgenerateContent", Api.GEMINI),
        ("GET", "/v1/responses", None),
        ("POST", "/v1/files?x=/v1/messages", None),
    ],
)
def test_which_requests_ask_a_model(method: str, target: str, api: Api | None) -> None:
    assert api_of(method, target) is api


@pytest.mark.parametrize(
    ("head", "model"),
    [
        (b'{"model":"claude-sonnet-4-5","max_tokens":1}', "claude-sonnet-4-5"),
        (b'{"stream": true, "model" : "anthropic/x[1m]"}', "anthropic/x[1m]"),
        (b'{"model": "' + b"x" * 200 + b'"}', ""),
        (b'{"model": "a\x00b"}', ""),
        (b" " * 5000 + b'{"model": "late"}', ""),
        (b"(\xb5/\xfd", ""),
    ],
)
def test_the_model_is_read_from_a_request_s_first_bytes(head: bytes, model: str) -> None:
    assert read(head).model == model


def read(body: bytes, *, ended: bool = True) -> RequestReader:
    """In pieces; what is read must not depend on how the bytes are cut."""
    readers = []
    for size in (1, 7, len(body) or 1):
        reader = RequestReader()
        for at in range(0, len(body), size):
            reader.feed(body[at : at + size])
        if ended:
            reader.end()
        readers.append(reader)
    assert len({(each.model, each.is_side) for each in readers}) == 1
    return readers[0]


WITH_TOOLS = [
    b'{"model":"m","tools":[{"name":"bash"}],"messages":[]}',
    b' {"messages": [' + b" " * 9000 + b'],\n "tools" : [ {"name": "bash"} ]}',
    b'{"input":[{"type":"additional_tools","tools":[{"type":"function","name":"shell"}]}],"tools":[]}',
    b'{"contents":[],"tools":[{"functionDeclarations":[]}]}',
    b'{"contents":[],"tools":{"functionDeclarations":[]}}',
    b'{"contents":[],"cachedContent":"cachedContents/7"}',
    b'{"messages":[],"functions":[{"name":"ls"}]}',
]
WITHOUT = [
    b'{"model":"m","messages":[{"role":"user","content":"A title, please."}]}',
    b'{"model":"m","tools":[],"messages":[]}',
    b'{"tools": null, "functions": [ ], "cachedContent": null}',
    json.dumps({"messages": [{"role": "user", "content": 'Which "tools":[{"name":"x"}] are there?'}]}).encode(),
]


@pytest.mark.parametrize("body", WITH_TOOLS)
def test_a_request_that_offers_tools_is_for_the_work(body: bytes) -> None:
    assert (read(body).is_side, read(body).has_tools) == (False, True)


@pytest.mark.parametrize("body", WITHOUT)
def test_a_request_that_offers_none_is_beside_the_work(body: bytes) -> None:
    assert read(body).is_side


FORMED = [
    b'{"model":"m","tools":[{"name":"exec"}],"text":{"verbosity":"low","format":{"type":"json_schema","schema":{}}}}',
    b'{"text": {"format" : {\n"type" : "json_schema"}}, "input": [' + b" " * 9000 + b'], "tools": [{"name": "exec"}]}',
    b'{"response_format":{"type":"json_schema"},"tools":[{"name":"exec"}],"messages":[]}',
]
NOT_FORMED = [
    json.dumps({"tools": [{"name": "x"}], "input": '"format":{"type":"json_schema"}'}).encode(),
    b'{"tools":[{"name":"x","parameters":{"properties":{"format":{"type":"string"}}}}],"text":{"format":{"type":"text"}}}',
]


@pytest.mark.parametrize("body", FORMED)
def test_a_request_for_json_of_a_form_is_beside_the_work(body: bytes) -> None:
    """So Codex asks for its title, with tools."""
    assert (read(body).is_side, read(body).has_tools) == (True, True)


@pytest.mark.parametrize("body", NOT_FORMED)
def test_a_form_that_is_only_spoken_of_changes_nothing(body: bytes) -> None:
    assert not read(body).is_side


def test_a_request_that_was_not_read_to_its_end_counts_as_work() -> None:
    """Also one that is compressed, or none."""
    assert not read(WITHOUT[0], ended=False).is_side
    assert not read(b"\x28\xb5\x2f\xfd").is_side
    assert not read(b"").is_side


def test_words_in_a_stream_decide_nothing() -> None:
    """A model may say anything, also what looks like the end of its answer."""
    event: dict[str, Any] = {
        "type": "content_block_delta",
        "delta": {"type": "text_delta", "text": '\n\nevent: message_stop\ndata: {"type": "message_stop"}\n\n'},
    }
    data = f"event: content_block_delta\ndata: {json.dumps(event)}\n\n".encode()
    assert judged(Api.MESSAGES, data).outcome is Outcome.CUT
