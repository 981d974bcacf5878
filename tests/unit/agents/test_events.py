"""Updates become events: gathered, redacted, bounded in number and size."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from gitward.agents.events import A_SECOND, BURST, GATHER_SECONDS, HELD, SLOWER_SECONDS, Events
from gitward.agents.speech import PIECE
from gitward.agents.updates import Asked, Plan, PlanEntry, Said, ToolCall, Usage
from gitward.secrets import Secret
from gitward.telemetry.redaction import Redactor

SECRET = "s3cret-of-a-model-0123456789"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def events(clock: Clock) -> Events:
    return Events(Redactor([Secret(SECRET)]), clock=clock)


def say(text: str, message: str = "", *, thought: bool = False) -> Said:
    return Said(thought=thought, message=message, text=text)


def test_chunks_of_one_message_are_one_event(events: Events) -> None:
    for word in ("I ", "will ", "look. "):
        events.take(say(word))
    assert events.entries() == [("agent.message", {"message": "m1", "text": "I will look. "})]
    assert events.entries() == []


def test_messages_are_told_apart_by_id_by_thought_and_by_tool_calls_between(events: Events) -> None:
    updates: list[Said | ToolCall] = [
        say("a", "1"),
        say("b", "2"),
        say("t", "2", thought=True),
        say("c"),
        ToolCall(id="x"),
    ]
    updates.append(say("d"))
    for update in updates:
        events.take(update)
    told = events.entries(final=True)
    assert [kind for kind, _ in told] == [
        *("agent.message", "agent.message", "agent.thought", "agent.message", "agent.tool", "agent.message")
    ]
    assert [data["text"] for kind, data in told if kind != "agent.tool"] == ["a", "b", "t", "c", "d"]
    assert len({data["message"] for kind, data in told if kind == "agent.message"}) == 4
    assert events.last_message == "d"


def test_an_unfinished_word_is_told_after_a_silence(events: Events, clock: Clock) -> None:
    events.take(say("one tw"))
    assert events.entries() == [("agent.message", {"message": "m1", "text": "one "})]
    assert events.entries() == []
    clock.now += 1
    assert events.entries() == [("agent.message", {"message": "m1", "text": "tw"})]
    events.take(say("o three"))
    assert "".join(data["text"] for _, data in events.entries(final=True)) == "o three"


def test_of_a_tool_call_the_last_state_wins_and_what_was_told_stays(events: Events) -> None:
    events.take(ToolCall(id="a", title="Run", kind="execute", status="pending", input="ls"))
    events.take(ToolCall(id="a", status="in_progress"))
    [(kind, data)] = events.entries()
    assert (kind, data["title"], data["kind"], data["status"], data["input"]) == (
        *("agent.tool", "Run", "execute", "in_progress"),
        "ls",
    )
    events.take(ToolCall(id="a", status="completed", output="README.md"))
    [(_, data)] = events.entries()
    assert (data["title"], data["status"], data["input"], data["output"]) == ("Run", "completed", "ls", "README.md")


def test_calls_that_are_open_at_the_end_are_told_as_cancelled(events: Events) -> None:
    for id_, status in (("a", "completed"), ("b", "in_progress"), ("c", "failed"), ("d", None)):
        events.take(ToolCall(id=id_, status=status))
    events.entries()
    ends = {data["id"]: data["status"] for _, data in events.entries(final=True)}
    assert ends == {"b": "cancelled", "d": "cancelled"}


def test_calls_are_counted_once(events: Events) -> None:
    for _ in range(3):
        events.take(ToolCall(id="a", status="failed"))
        events.take(ToolCall(id="b", status="completed"))
    assert (events.tools, events.failed_tools) == (2, 1)


def test_plans_usage_and_permissions(events: Events) -> None:
    events.take(Plan(entries=(PlanEntry(content="old", status="pending", priority="low"),)))
    events.take(Usage(used=1, size=10))
    events.take(Asked(what="rm", answer="allow_once"))
    events.take(Plan(entries=(PlanEntry(content="new", status="pending", priority="low"),)))
    events.take(Usage(used=2, size=10))
    events.take(Asked(what="mv", answer="allow_once"))
    assert events.entries() == [
        ("agent.plan", {"entries": [{"content": "new", "status": "pending", "priority": "low"}]}),
        ("agent.usage", {"used": 2, "size": 10}),
        ("agent.asked", {"what": "rm", "answer": "allow_once"}),
        ("agent.asked", {"what": "mv", "answer": "allow_once"}),
    ]


@pytest.mark.parametrize("cut", range(1, len(SECRET)))
def test_a_secret_that_falls_across_chunks_is_masked(events: Events, clock: Clock, cut: int) -> None:
    told = []
    for part in ("key: ", SECRET[:cut], SECRET[cut:], " end"):
        events.take(say(part))
        clock.now += 1
        told += events.entries()
    told += events.entries(final=True)
    assert "".join(data["text"] for _, data in told) == "key: *** end"
    assert events.last_message == "key: *** end"


MAKERS: dict[str, Callable[[str], Any]] = {
    "title": lambda text: ToolCall(id="a", title=text),
    "id": lambda text: ToolCall(id=text),
    "path": lambda text: ToolCall(id="a", paths=(text,)),
    "input": lambda text: ToolCall(id="a", input=text),
    "output": lambda text: ToolCall(id="a", output=text),
    "plan": lambda text: Plan(entries=(PlanEntry(content=text, status=text, priority=text),)),
    "asked": lambda text: Asked(what=text, answer="allow_once"),
    "message": lambda text: say("x ", text),
}


@pytest.mark.parametrize("field", MAKERS)
@pytest.mark.parametrize("before", [0, 100, 120, 240, 250, 290, 390, 4090, 8180])
def test_a_secret_is_masked_and_never_cut_in_two(events: Events, field: str, before: int) -> None:
    """A half of it would not be known, and be shown."""
    limits = {"title": 256, "id": 128, "path": 400, "input": 4096, "output": 8192, "plan": 300, "asked": 256}
    text = "y " * (before // 2) + SECRET + " z" * 5000
    events.take(MAKERS[field](text[: limits.get(field, 128) + 1]))
    told = str(events.entries(final=True))
    assert SECRET[:8] not in told


@pytest.mark.parametrize("seconds", [60, 900, 3600, 7 * 24 * 3600])
def test_many_updates_cost_few_events(events: Events, clock: Clock, seconds: float) -> None:
    """100,000 updates, however long they take: at most 2,000 events, with those of usage, and the last of them told."""
    told: list[tuple[str, Any]] = []
    next_look = clock.now
    for number in range(100_000):
        clock.now += seconds / 100_000
        match number % 4:
            case 0:
                events.take(ToolCall(id=str(number // 40), title="Run", status="in_progress"))
            case 1:
                events.take(say(f"word {number} ", thought=True))
            case 2:
                events.take(Usage(used=number, size=10**6))
            case _:
                events.take(say(f"word {number} "))
        if clock.now >= next_look:
            told += events.entries()
            next_look = clock.now + events.pause
    told += events.entries(final=True)
    of_usage = 20 * (1 + math.log(max(1, seconds / 100)))
    assert len(told) + of_usage <= 2_000
    assert told[-1][1].get("status") == "cancelled" or "99999" in str(told[-5:])


def test_a_reader_is_not_far_behind_while_there_is_room(events: Events) -> None:
    assert events.pause == GATHER_SECONDS
    for number in range(BURST // 4 + 1):
        events.take(Asked(what=str(number), answer="allow_once"))
        events.entries()
    assert events.pause == SLOWER_SECONDS
    assert SLOWER_SECONDS < 0.25


def test_who_tells_more_than_is_allowed_is_gathered_then_dropped(events: Events, clock: Clock) -> None:
    told = 0
    for number in range(10 * BURST):
        events.take(Asked(what=str(number), answer="allow_once"))
        if number % 10 == 0:
            told += len(events.entries())
    assert told == BURST
    assert events.dropped > 8 * BURST
    clock.now += 10
    assert len(events.entries()) == int(10 * A_SECOND * 0.96)


def test_what_waits_is_bounded(events: Events) -> None:
    for number in range(10_000):
        events.take(ToolCall(id=str(number), title="t" * 200))
        events.take(say("x" * 1000, str(number)))
    assert len(events._pending) <= HELD
    assert len(events._calls) <= 256
    assert len(events.entries(final=True)) <= BURST + HELD


def test_a_long_message_is_several_events(events: Events) -> None:
    events.take(say("word " * 10_000))
    told = events.entries()
    assert [len(data["text"]) <= PIECE for _, data in told] == [True] * len(told)
    assert "".join(data["text"] for _, data in told) == "word " * 10_000


def test_the_last_message_is_bounded(events: Events) -> None:
    for _ in range(1000):
        events.take(say("word " * 1000))
    assert len(events.last_message) <= 16 * 1024 + 1
