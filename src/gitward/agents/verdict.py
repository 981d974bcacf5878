"""What a turn came to: from what was seen, not from what the agent says about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gitward.errors import Reason
from gitward.grants.model_calls import Tally


class Trouble(StrEnum):
    """How a turn ended that did not come to a stop reason."""

    MISSING = "missing"  # the program could not be started
    NOT_READY = "not_ready"  # no answer to `initialize`, `session/new`, mode or model, or an error
    NOT_RESUMED = "not_resumed"  # the same, when a conversation was to go on; then a new one is begun
    NOT_SIGNED_IN = "not_signed_in"
    ENDED = "ended"  # the program ended in the middle
    ERROR = "error"  # the prompt was answered with an error
    TOO_MUCH = "too_much"  # it wrote more than one turn may
    SILENT = "silent"  # no sign of life


@dataclass(frozen=True, kw_only=True)
class TurnEnd:
    """How the connection ended."""

    stop_reason: str | None = None
    trouble: Trouble | None = None
    said: str = ""  # by the agent, about the trouble
    is_passing: bool = False  # it may be another thing a moment later


@dataclass(frozen=True, kw_only=True)
class Seen:
    """All that a verdict is made of."""

    end: TurnEnd
    calls: Tally | None = None  # since the prompt; None: the broker does not see this agent's model
    budget: str | None = None  # the sentence about the limit that was reached
    is_given_up: bool = False  # the model failed so often that no more requests to it passed
    last_message: str = ""
    tools: int = 0
    failed_tools: int = 0


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`reason` None: the work, if there is some, is published."""

    reason: Reason | None = None
    message: str = ""
    notice: str | None = None


_UNAVAILABLE = {
    Trouble.MISSING: "The agent's program could not be started",
    Trouble.NOT_READY: "The agent did not become ready",
    Trouble.NOT_RESUMED: "The agent did not resume its conversation",
    Trouble.NOT_SIGNED_IN: "The agent is not signed in at its provider: give the server a key for the provider",
}
_FAILED = {
    Trouble.ENDED: "The agent's program ended in the middle of its turn",
    Trouble.ERROR: "The agent ended its turn with an error",
    Trouble.TOO_MUCH: "The agent was ended: it wrote more than a turn may",
    Trouble.SILENT: "The agent was ended: neither it nor its model showed activity",  # said: for how long
}
_STOPPED = {
    "refusal": "The agent refused to go on.",
    "max_tokens": "The agent stopped: the model's answer reached its limit of tokens.",
    "max_turn_requests": "The agent stopped: it reached its limit of model requests for one turn.",
}


def verdict(seen: Seen) -> Verdict:
    """The first row that fits."""
    end = seen.end
    # A provider that refused the key has told more about it than the agent, which only says that it is not signed in.
    refused = end.trouble is Trouble.NOT_SIGNED_IN and seen.calls is not None and seen.calls.failing > 0
    if end.trouble in _UNAVAILABLE and not refused:
        return Verdict(reason=Reason.AGENT_UNAVAILABLE, message=_sentence(_UNAVAILABLE[end.trouble], end.said))
    if seen.budget is not None:
        return Verdict(reason=Reason.BUDGET_EXHAUSTED, message=seen.budget)
    # A program that fell over before it asked its model did so for a reason of its own.
    asked = seen.calls is not None and (seen.calls.begun > 0 or end.trouble is None)
    if seen.calls is not None and asked and (seen.is_given_up or not _is_answered(seen.calls, end)):
        return Verdict(reason=Reason.MODEL_FAILED, message=_model_failed(seen.calls))
    if end.trouble is not None:
        return Verdict(reason=Reason.AGENT_FAILED, message=_sentence(_FAILED[end.trouble], end.said))
    return _stopped(seen, end.stop_reason or "none")


def _is_answered(calls: Tally, end: TurnEnd) -> bool:
    """Agents ask for titles beside their work. On a busy machine such a call may fail after the model's last word; then
    the work is done all the same, if the agent ended its turn in order."""
    return calls.is_answered or (calls.is_done and end.trouble is None)


def _stopped(seen: Seen, stop_reason: str) -> Verdict:
    if stop_reason in _STOPPED:
        return Verdict(reason=Reason.TASK_FAILED, message=_STOPPED[stop_reason])
    if stop_reason != "end_turn":
        message = f"The agent stopped for an unknown reason: {stop_reason!r}."
        return Verdict(reason=Reason.AGENT_FAILED, message=message)
    all_failed = seen.tools > 0 and seen.tools == seen.failed_tools
    calls = "The agent's only tool call" if seen.tools == 1 else f"Each of the agent's {seen.tools} tool calls"
    return Verdict(message=seen.last_message, notice=f"{calls} failed." if all_failed else None)


def _sentence(what: str, said: str) -> str:
    said = " ".join(said.split())[:500].rstrip(".")
    return f"{what}: {said}." if said else f"{what}."


def _model_failed(calls: Tally) -> str:
    failure = calls.last_failure
    if failure is None and calls.failed:
        return "The model failed again and again, and no more requests were passed on."
    if failure is None:
        asked = "did not answer" if calls.begun else "was never asked"
        return f"The model {asked}, so the agent cannot have done anything."
    what = f"gave no whole answer ({failure.outcome})" if failure.status is None else f"answered {failure.status}"
    return _sentence(f"The model at {failure.host} {what}", failure.error)
