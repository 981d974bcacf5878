"""What an agent tells, as values: known kinds and types, bounded; everything else is dropped and counted."""

from __future__ import annotations

from typing import Any

import pytest

from gitward.agents.updates import (
    DIFF_FILES,
    DIFF_TEXT,
    ENTRIES,
    INPUT,
    OUTPUT,
    PATHS,
    QUIET,
    Diff,
    Dropped,
    Plan,
    PlanEntry,
    Said,
    ToolCall,
    Update,
    Usage,
    update_of,
)


def read(value: Any) -> tuple[Update | None, int]:
    dropped = Dropped()
    return update_of(value, dropped), dropped.updates


def text(value: Any) -> Any:
    return {"type": "text", "text": value}


@pytest.mark.parametrize(("kind", "thought"), [("agent_message_chunk", False), ("agent_thought_chunk", True)])
def test_messages_and_thoughts(kind: str, thought: bool) -> None:
    update = {"sessionUpdate": kind, "content": text("hi"), "messageId": "m", "_meta": {"claude": 1}}
    assert read(update) == (Said(thought=thought, message="m", text="hi"), 0)


def test_a_tool_call_has_what_its_update_tells() -> None:
    update = {
        "sessionUpdate": "tool_call",
        "toolCallId": "t",
        "kind": "execute",
        "title": "Run `ls`",
        "status": "in_progress",
        "locations": [{"path": "/a", "line": 3}, {"path": "/b"}],
        "rawInput": {"command": "ls"},
        "content": [
            {"type": "content", "content": text("one")},
            {"type": "content", "content": {"type": "image", "data": "…"}},
            {"type": "diff", "path": "/a", "oldText": None, "newText": "new"},
            {"type": "terminal", "terminalId": "x"},
        ],
    }
    assert read(update)[0] == ToolCall(
        id="t",
        kind="execute",
        title="Run `ls`",
        status="in_progress",
        paths=("/a", "/b"),
        input='{"command": "ls"}',
        output="one",
        diff=(Diff(path="/a", old="", new="new"),),
    )
    assert read({"sessionUpdate": "tool_call_update", "toolCallId": "t", "rawOutput": {"code": 0}})[0] == ToolCall(
        id="t", output='{"code": 0}'
    )


def test_plans_and_usage() -> None:
    entry = {"content": "Look", "status": "pending", "priority": "high"}
    assert read({"sessionUpdate": "plan", "entries": [entry, 7]})[0] == Plan(entries=(PlanEntry(**entry),))
    assert read({"sessionUpdate": "usage_update", "used": 5, "size": 10})[0] == Usage(used=5, size=10)


@pytest.mark.parametrize("kind", sorted(QUIET))
def test_known_kinds_that_nobody_needs_are_silent(kind: str) -> None:
    assert read({"sessionUpdate": kind, "anything": 1}) == (None, 0)


def test_an_empty_piece_is_silent() -> None:
    assert read({"sessionUpdate": "agent_message_chunk", "content": text("")}) == (None, 0)


@pytest.mark.parametrize(
    "value",
    [
        *(
            None,
            7,
            "a",
            [],
            {},
            {"sessionUpdate": 7},
            {"sessionUpdate": ["plan"]},
            {"sessionUpdate": "from_the_future"},
        ),
        {"sessionUpdate": "agent_message_chunk"},
        {"sessionUpdate": "agent_message_chunk", "content": "text"},
        {"sessionUpdate": "agent_message_chunk", "content": text(7)},
        {"sessionUpdate": "agent_message_chunk", "content": {"type": "image", "data": "x"}},
        {"sessionUpdate": "tool_call"},
        {"sessionUpdate": "tool_call", "toolCallId": 7},
        {"sessionUpdate": "plan", "entries": {}},
        {"sessionUpdate": "usage_update", "used": -1, "size": 1},
        {"sessionUpdate": "usage_update", "used": True, "size": 1},
        {"sessionUpdate": "usage_update", "used": 2**80, "size": 1},
    ],
)
def test_what_is_not_understood_is_dropped_and_counted(value: Any) -> None:
    assert read(value) == (None, 1)


@pytest.mark.parametrize("lie", [7, [], {}, True, [[]], [7], {"path": 7}, "/etc", None])
def test_a_field_that_lies_is_left_out_and_the_rest_is_taken(lie: Any) -> None:
    update = {"sessionUpdate": "tool_call", "toolCallId": "t", "title": "Fine"}
    lies = dict.fromkeys(("kind", "status", "locations", "content"), lie)
    assert read({**update, **lies})[0] == ToolCall(id="t", title="Fine")


def test_everything_is_bounded() -> None:
    long, wide = "x" * 1_000_000, [{"path": "x" * 10_000}] * 10_000
    call, _ = read(
        {
            "sessionUpdate": "tool_call",
            "toolCallId": long,
            "title": long,
            "locations": wide,
            "rawInput": {"a": [long, {"b": long}] * 1000},
            "content": [{"type": "content", "content": text(long)}] * 1000
            + [{"type": "diff", "path": long, "oldText": long, "newText": long}] * 1000,
        }
    )
    assert isinstance(call, ToolCall)
    assert len(call.id) <= 129
    assert len(call.title or "") <= 257
    assert len(call.paths or ()) == PATHS
    assert len(call.input or "") <= INPUT + 1
    assert len(call.output or "") <= OUTPUT + 1
    diffs, _ = read(
        {"sessionUpdate": "tool_call", "toolCallId": "t", "content": [{"type": "diff", "newText": long}] * 9}
    )
    assert isinstance(diffs, ToolCall)
    assert [len(each.new) for each in diffs.diff or ()] == [DIFF_TEXT + 1] * DIFF_FILES
    plan, _ = read({"sessionUpdate": "plan", "entries": [{"content": long}] * 1000})
    assert isinstance(plan, Plan)
    assert len(plan.entries) == ENTRIES
    assert len(plan.entries[0].content) <= 301


def test_ids_and_titles_are_one_line_that_can_be_stored() -> None:
    call, _ = read({"sessionUpdate": "tool_call", "toolCallId": "a\0b\ud800", "title": "a\nb\x1b[2J\u202e"})
    assert call == ToolCall(id="a\ufffdb?", title="a b [2J")
