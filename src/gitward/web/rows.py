"""A session as one row of a list: its state in a word, and one line that says how it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gitward.sessions.model import ACTIVE_STATES, Event, EventType, Run, RunState, Session
from gitward.web.content.terminal import Terminal
from gitward.web.content.visible import one_line

_STEPS = {
    "preflight": "asking GitHub",
    "authenticate": "authenticating",
    "checkout": "checking out",
    "setup": "preparing",
    "execute": "running",
    "publish": "keeping and pushing the work",
    "pull_request": "opening the pull request",
    "settle": "ending",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a list shows of a session."""

    session: Session
    run: Run | None
    mark: str  # the state's colour: run | wait | ok | bad | warn | off
    word: str  # the same, in a word
    line: str
    origin: str


def row_of(session: Session, news: Event | None) -> Row:
    run = session.runs[-1] if session.runs else None
    return Row(
        session=session,
        run=run,
        mark=mark_of(session),
        word="cancelling" if session.state is RunState.CANCELLING else session.state.value,
        line=one_line(_line(run, news), 220),
        origin="schedule" if session.schedule_id else "page" if session.from_page else "API",
    )


def mark_of(session: Session) -> str:
    run = session.runs[-1] if session.runs else None
    is_spent = session.state is RunState.FAILED and run is not None and run.reason == "budget_exhausted"
    return "warn" if is_spent else mark_of_state(session.state)


def mark_of_state(state: RunState) -> str:
    if state in ACTIVE_STATES:
        return "run"
    return {RunState.QUEUED: "wait", RunState.SUCCEEDED: "ok", RunState.FAILED: "bad"}.get(state, "off")


def _line(run: Run | None, news: Event | None) -> str:
    if run is None:
        return ""
    if run.state is RunState.QUEUED:
        return run.queued_because or "Waiting."
    if run.state in ACTIVE_STATES:
        return _live(run, news)
    message = run.message or ""
    return f"{run.reason} · {message}" if run.reason else message


def _live(run: Run, news: Event | None) -> str:
    step = run.steps[-1].name.value if run.steps else "preflight"
    doing = _STEPS.get(step, step)
    told = _told(news) if news is not None and news.run_id == run.id else ""
    if run.state is RunState.CANCELLING:
        return f"cancelling · {doing}"
    return f"{doing} · {told}" if told else doing


def _told(news: Event) -> str:
    data: dict[str, Any] = news.data
    match news.type:
        case EventType.AGENT_TOOL:
            told = data.get("title") or data.get("kind")
        case EventType.AGENT_PLAN:
            entries = data.get("entries") or []
            done = sum(each.get("status") == "completed" for each in entries)
            told = f"{done} of {len(entries)} of its plan done"
        case EventType.OUTPUT:
            lines = [each for each in str(data.get("text") or "").splitlines() if each.strip()]
            told = Terminal().plain(lines[-1]) if lines else ""
        case EventType.STEP_RETRYING:
            told = f"tried again: {data.get('cause')}"
        case EventType.MODEL_FAILING:
            told = f"{data.get('host')} fails, {data.get('times')} times so far"
        case _:
            told = data.get("text") or data.get("message")
    return str(told or "")
