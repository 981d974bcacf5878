"""What an agent tells in a turn (`session/update`), as values: known kinds, known types, bounded. The rest is dropped.

Agents are of many versions, and one may be hostile: a field that is not what the protocol says is left out, whatever
else its update has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gitward.agents.texts import line_of, shown, text_of

Json = dict[str, Any]

ID = 128  # characters
TITLE = 256
INPUT = 4 * 1024
OUTPUT = 8 * 1024
DIFF_TEXT = 2 * 1024  # of the old and of the new text of one file
DIFF_FILES = 4
PATHS, PATH = 20, 400
ENTRIES, ENTRY = 50, 300
_KINDS_NOTED = 8
LONGEST_CHUNK = 64 * 1024  # of one message

QUIET = frozenset(  # known, and nothing that somebody who watches needs
    {
        "user_message_chunk",
        "available_commands_update",
        "current_mode_update",
        "config_option_update",
        "session_info_update",
        "plan_update",
        "plan_removed",
    }
)
KINDS = frozenset({"read", "edit", "delete", "move", "search", "execute", "think", "fetch", "switch_mode", "other"})
STATUSES = frozenset({"pending", "in_progress", "completed", "failed"})


@dataclass(frozen=True, kw_only=True)
class Said:
    """A piece of a message, or of a thought."""

    thought: bool
    message: str  # its id; empty: the agent gave none
    text: str


@dataclass(frozen=True, kw_only=True)
class Diff:
    path: str
    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """What an update tells of a tool call. None: nothing about it."""

    id: str
    kind: str | None = None
    title: str | None = None
    status: str | None = None
    paths: tuple[str, ...] | None = None
    input: str | None = None
    output: str | None = None
    diff: tuple[Diff, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class PlanEntry:
    content: str
    status: str
    priority: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    entries: tuple[PlanEntry, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Of the model's context, as the agent tells it."""

    used: int
    size: int


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The agent asked for a permission."""

    what: str
    answer: str


Update = Said | ToolCall | Plan | Usage


@dataclass(kw_only=True)
class Dropped:
    """Messages that were not understood."""

    updates: int = 0
    kinds: set[str] = field(default_factory=set)  # of some of them, for a log

    def note(self, kind: object) -> None:
        self.updates += 1
        if len(self.kinds) < _KINDS_NOTED:
            self.kinds.add(line_of(kind, 40) or "?")


def update_of(value: object, dropped: Dropped) -> Update | None:
    """None for what nobody needs, and for what is not understood, which is counted."""
    told = value if isinstance(value, dict) else {}
    kind = told.get("sessionUpdate")
    found: Update | None = None
    match kind:
        case "agent_message_chunk" | "agent_thought_chunk" if _is_empty(told.get("content")):
            return None
        case "agent_message_chunk" | "agent_thought_chunk":
            found = _said(told, thought=kind == "agent_thought_chunk")
        case "tool_call" | "tool_call_update":
            found = _tool_call(told)
        case "plan":
            found = _plan(told)
        case "usage_update":
            found = _usage(told)
        case str() if kind in QUIET:
            return None
    if found is None:
        dropped.note(kind)
    return found


def _is_empty(content: object) -> bool:
    return isinstance(content, dict) and content.get("type") == "text" and content.get("text") == ""


def _said(told: Json, *, thought: bool) -> Said | None:
    content = told.get("content")
    if not isinstance(content, dict) or content.get("type") != "text":
        return None
    text = text_of(content.get("text"), LONGEST_CHUNK)
    return Said(thought=thought, message=line_of(told.get("messageId"), ID), text=text) if text else None


def _tool_call(told: Json) -> ToolCall | None:
    id_ = line_of(told.get("toolCallId"), ID)
    if not id_:
        return None
    content = _dicts(told.get("content"))
    return ToolCall(
        id=id_,
        kind=_one_of(told.get("kind"), KINDS),
        title=line_of(told.get("title"), TITLE) or None,
        status=_one_of(told.get("status"), STATUSES),
        paths=_paths(told.get("locations")),
        input=shown(told.get("rawInput"), INPUT) or None,
        output=_output(told, content),
        diff=_diff(content),
    )


def _one_of(value: object, allowed: frozenset[str]) -> str | None:
    return value if isinstance(value, str) and value in allowed else None


def _dicts(value: object) -> list[Json]:
    return [each for each in value[:100] if isinstance(each, dict)] if isinstance(value, list) else []


def _paths(value: object) -> tuple[str, ...] | None:
    found = [line_of(each.get("path"), PATH) for each in _dicts(value)[:PATHS]]
    return tuple(each for each in found if each) or None


def _output(told: Json, content: list[Json]) -> str | None:
    """What the call's content says; what it returned, when it has no text."""
    inner = [each.get("content") for each in content if each.get("type") == "content"]
    texts = [text_of(each.get("text"), OUTPUT + 1) for each in _dicts(inner)]
    text = "\n".join(each for each in texts if each)[: OUTPUT + 1]
    return text or shown(told.get("rawOutput"), OUTPUT) or None


def _diff(content: list[Json]) -> tuple[Diff, ...] | None:
    diffs = [each for each in content if each.get("type") == "diff"][:DIFF_FILES]
    return (
        tuple(
            Diff(
                path=line_of(each.get("path"), PATH),
                old=text_of(each.get("oldText"), DIFF_TEXT + 1),
                new=text_of(each.get("newText"), DIFF_TEXT + 1),
            )
            for each in diffs
        )
        or None
    )


def _plan(told: Json) -> Plan | None:
    if not isinstance(told.get("entries"), list):
        return None
    return Plan(
        entries=tuple(
            PlanEntry(
                content=line_of(each.get("content"), ENTRY),
                status=line_of(each.get("status"), 20),
                priority=line_of(each.get("priority"), 20),
            )
            for each in _dicts(told["entries"])[:ENTRIES]
        )
    )


def _usage(told: Json) -> Usage | None:
    used, size = _count(told.get("used")), _count(told.get("size"))
    return None if used is None or size is None else Usage(used=used, size=size)


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 2**53 else None
