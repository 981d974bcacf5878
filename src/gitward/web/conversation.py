"""What was said and done in a run, as items in their order, made of events as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gitward.sessions.model import Event, EventType

MOST_ITEMS = 400  # that are shown; the newest stay
_MESSAGE_LENGTH = 64 * 1024  # characters that are kept of one


@dataclass(kw_only=True)
class Item:
    """One message, tool call or note. It may grow: `version` tells that it did."""

    id: str  # of its element on the page
    kind: str  # message | thought | tool | refusal | note
    at: datetime
    text: str = ""
    tone: str = ""  # of a note: ok | bad | warn
    times: int = 1  # that the same was refused
    data: Mapping[str, Any] = field(default_factory=dict)  # of a tool call
    version: int = 1


@dataclass(frozen=True, kw_only=True)
class PlanEntry:
    text: str
    state: str  # done | now | later


class Conversation:
    """Of one run."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.plan: tuple[PlanEntry, ...] = ()
        self.agent = ""
        self.usage: Mapping[str, Any] | None = None  # as the meter counted it
        self.context: tuple[int, int] | None = None  # used and size, as the agent tells
        self.last_seq = 0
        self.dropped = 0  # items that were too many
        self._keys: dict[tuple[str, str], str] = {}

    def add_all(self, events: Iterable[Event]) -> set[str]:
        """The ids of the items that changed."""
        changed: set[str] = set()
        for event in events:
            found = self.add(event)
            if found is not None:
                changed.add(found)
        return changed

    def add(self, event: Event) -> str | None:
        """The id of the item that changed."""
        self.last_seq = max(self.last_seq, event.seq)
        data = event.data
        match event.type:
            case EventType.AGENT_MESSAGE | EventType.AGENT_THOUGHT:
                return self._say(event, "thought" if event.type is EventType.AGENT_THOUGHT else "message")
            case EventType.AGENT_TOOL:
                item = self._item(event, "tool", str(data.get("id")))
                item.data = data
                return item.id
            case EventType.POLICY_DENIED:
                return self._refuse(event)
            case EventType.AGENT_PLAN:
                self.plan = tuple(_entry(each) for each in data.get("entries") or ())
            case EventType.AGENT_STARTED:
                self.agent = " · ".join(str(data[name]) for name in ("agent", "model") if data.get(name))
            case EventType.AGENT_USAGE:
                self.context = (int(data.get("used") or 0), int(data.get("size") or 0))
            case EventType.USAGE_COUNTED:
                self.usage = data
            case _:
                return self._note(event)
        return None

    def _say(self, event: Event, kind: str) -> str:
        item = self._item(event, kind, str(event.data.get("message")))
        item.text = (item.text + str(event.data.get("text") or ""))[:_MESSAGE_LENGTH]
        return item.id

    def _refuse(self, event: Event) -> str:
        message = str(event.data.get("message") or "")
        known = (event.data.get("rule"), message)
        item = self._item(event, "refusal", f"{known[0]}\n{known[1]}")
        item.times = item.version
        item.text, item.data = message, event.data
        return item.id

    def _note(self, event: Event) -> str | None:
        told = _told(event)
        if told is None:
            return None
        item = self._item(event, "note", str(event.seq))
        item.tone, item.text = told
        return item.id

    def _item(self, event: Event, kind: str, key: str) -> Item:
        """The item with this key, a new one when there is none; it counts as changed."""
        known = self._keys.get((kind, key))
        if known is not None and known in self.items:
            item = self.items[known]
            item.version += 1
            return item
        item = Item(id=f"i{event.seq}", kind=kind, at=event.at)
        self._keys[kind, key] = item.id
        self.items[item.id] = item
        if len(self.items) > MOST_ITEMS:
            del self.items[next(iter(self.items))]
            self.dropped += 1
        return item


def _entry(told: Mapping[str, Any]) -> PlanEntry:
    state = {"completed": "done", "in_progress": "now"}.get(str(told.get("status")), "later")
    return PlanEntry(text=str(told.get("content") or ""), state=state)


Tell = Callable[[Mapping[str, Any]], tuple[str, str]]

_TOLD: dict[EventType, Tell] = {  # tone and sentence
    EventType.NOTICE: lambda data: ("", str(data.get("message") or "")),
    EventType.STEP_RETRYING: lambda data: (
        "warn",
        f"{data.get('step')} is tried again in {data.get('seconds')} s: {data.get('cause') or ''}",
    ),
    EventType.RUN_TAKEN_OVER: lambda data: (
        "warn",
        f"The worker was lost. Attempt {data.get('attempt')} goes on, on another one.",
    ),
    EventType.RUN_CANCELLING: lambda _: ("warn", "Cancelling: the processes are stopped, and the work is kept."),
    EventType.BRANCH_PUSHED: lambda data: ("ok", f"Pushed {str(data.get('head_sha'))[:8]} to {data.get('branch')}."),
    EventType.ISSUE_OPENED: lambda data: ("", f"Opened issue #{data.get('number')}."),
    EventType.PULL_REQUEST_OPENED: lambda data: ("ok", f"Opened pull request #{data.get('number')}."),
    EventType.AGENT_ASKED: lambda data: (
        "",
        f"The agent asked: {data.get('what')} Answer: {str(data.get('answer')).replace('_', ' ')}.",
    ),
    EventType.MODEL_FAILING: lambda data: (
        "warn",
        f"{data.get('host')} fails ({data.get('status') or 'no answer'}), {data.get('times')} times so far; "
        "the agent goes on trying.",
    ),
}


def _told(event: Event) -> tuple[str, str] | None:
    """What happened beside the conversation; None: the page shows it elsewhere."""
    tell = _TOLD.get(event.type)
    return None if tell is None else tell(event.data)
