"""The table by which a turn is judged: one test for each row, and for the order of the rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gitward.agents.verdict import Seen, Trouble, TurnEnd, Verdict, verdict
from gitward.errors import Reason
from gitward.grants.model_calls import Api, ModelCall, Outcome, Tally

GOOD = Tally(begun=3, answered=3)


def failing(status: int | None = 429, *, answered: int = 0, error: str = "Slow down") -> Tally:
    outcome = Outcome.UNREACHABLE if status is None else Outcome.REFUSED
    call = ModelCall(id="c", host="api.example.com", api=Api.CHAT, status=status, outcome=outcome, error=error)
    return Tally(begun=answered + 2, answered=answered, failed=2, failing=2, last_failure=call)


def ended(trouble: Trouble, said: str = "so it says", calls: Tally | None = GOOD, budget: str | None = None) -> Seen:
    return Seen(end=TurnEnd(trouble=trouble, said=said), calls=calls, budget=budget)


def stopped(
    stop_reason: str = "end_turn",
    *,
    calls: Tally | None = GOOD,
    budget: str | None = None,
    said: str = "Done.",
    tools: int = 0,
    failed_tools: int = 0,
) -> Seen:
    end = TurnEnd(stop_reason=stop_reason)
    return Seen(end=end, calls=calls, budget=budget, last_message=said, tools=tools, failed_tools=failed_tools)


def done(status: int = 401) -> Tally:
    """The model's last word was heard; then a side call failed."""
    return replace(failing(status, answered=2), is_done=True)


UNAVAILABLE, FAILED, MODEL = Reason.AGENT_UNAVAILABLE, Reason.AGENT_FAILED, Reason.MODEL_FAILED
NEVER = "The model was never asked, so the agent cannot have done anything."
REFUSED = "The model at api.example.com answered 429: Slow down."

ROWS: list[tuple[str, Seen, Reason | None, str]] = [
    # program missing, `initialize` or authentication failed
    ("missing", ended(Trouble.MISSING, "exit code 127"), UNAVAILABLE, "could not be started: exit code 127."),
    ("not ready", ended(Trouble.NOT_READY), UNAVAILABLE, "The agent did not become ready: so it says."),
    ("signed out", ended(Trouble.NOT_SIGNED_IN), UNAVAILABLE, "give the server a key for the provider: so it says."),
    ("key refused", ended(Trouble.NOT_SIGNED_IN, calls=failing(401)), MODEL, "answered 401: Slow down."),
    ("… before the model", ended(Trouble.NOT_READY, calls=failing()), UNAVAILABLE, "did not become ready"),
    # budget
    ("budget", stopped(budget="3 requests were used."), Reason.BUDGET_EXHAUSTED, "3 requests were used."),
    ("… before the model", stopped(calls=failing(403), budget="Used up."), Reason.BUDGET_EXHAUSTED, "Used up."),
    # no successful model answer, or the last ones failed, whatever the stop reason says
    ("429 all through", stopped(calls=failing()), MODEL, REFUSED),
    ("500 all through", stopped(calls=failing(500, error="")), MODEL, "The model at api.example.com answered 500."),
    ("given up", Seen(end=TurnEnd(), calls=failing(500), is_given_up=True), MODEL, "answered 500: Slow down."),
    (
        "given up, then answered",  # what was under way ended after all; the agent was asked to stop before that
        Seen(end=TurnEnd(), calls=Tally(begun=9, answered=1, failed=8), is_given_up=True),
        MODEL,
        "The model failed again and again",
    ),
    ("failed at last", stopped(calls=failing(401, answered=5)), MODEL, "api.example.com answered 401: Slow down."),
    ("unreachable", stopped(calls=failing(None)), MODEL, "gave no whole answer (unreachable): Slow down."),
    ("never asked", stopped(calls=Tally()), MODEL, NEVER),
    ("never answered", ended(Trouble.SILENT, calls=Tally(begun=1)), MODEL, "The model did not answer"),
    ("refusal, failing", stopped("refusal", calls=failing()), MODEL, REFUSED),
    ("error, failing", ended(Trouble.ERROR, calls=failing()), MODEL, REFUSED),
    ("ended, failing", ended(Trouble.ENDED, calls=failing()), MODEL, REFUSED),
    # connection ended without an answer
    ("ended", ended(Trouble.ENDED, "exit code 1"), FAILED, "ended in the middle of its turn: exit code 1."),
    ("fell before it asked", ended(Trouble.ENDED, "exit code 1", calls=Tally()), FAILED, "in the middle of its turn"),
    ("error", ended(Trouble.ERROR), FAILED, "The agent ended its turn with an error: so it says."),
    ("too much", ended(Trouble.TOO_MUCH, ""), FAILED, "it wrote more than a turn may."),
    ("silent", ended(Trouble.SILENT, "900 s passed"), FAILED, "showed activity: 900 s passed."),
    # a side call failed after the model's last word
    ("done", stopped(calls=done()), None, "Done."),
    ("done, but the agent erred", ended(Trouble.ERROR, calls=done(429)), MODEL, REFUSED),
    ("done, key refused", ended(Trouble.NOT_SIGNED_IN, calls=done()), MODEL, "answered 401: Slow down."),
    ("done, given up", Seen(end=TurnEnd(), calls=done(), is_given_up=True), MODEL, "answered 401: Slow down."),
    # refusal, max_tokens, max_turn_requests
    ("refusal", stopped("refusal"), Reason.TASK_FAILED, "The agent refused to go on."),
    ("max_tokens", stopped("max_tokens"), Reason.TASK_FAILED, "reached its limit of tokens."),
    ("max_turn_requests", stopped("max_turn_requests"), Reason.TASK_FAILED, "limit of model requests for one turn."),
    # end_turn
    ("end_turn", stopped(), None, "Done."),
    ("recovered", stopped(calls=Tally(begun=9, answered=4, failed=5)), None, "Done."),
    ("no model to be seen", stopped(calls=None), None, "Done."),
    # what no row knows
    ("cancelled by itself", stopped("cancelled"), FAILED, "an unknown reason: 'cancelled'."),
    ("nonsense", stopped("x" * 64), FAILED, "an unknown reason"),
]


@pytest.mark.parametrize(("seen", "reason", "said"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_the_first_row_that_fits_decides(seen: Seen, reason: Reason | None, said: str) -> None:
    judged = verdict(seen)
    assert judged.reason is reason
    assert said in judged.message
    assert judged.notice is None


def test_a_notice_tells_when_every_tool_call_failed() -> None:
    each = "Each of the agent's 3 tool calls failed."
    assert verdict(stopped(tools=3, failed_tools=3)) == Verdict(message="Done.", notice=each)
    assert verdict(stopped(tools=1, failed_tools=1)).notice == "The agent's only tool call failed."
    assert verdict(stopped(tools=3, failed_tools=2)).notice is None


def test_what_others_said_is_one_bounded_sentence() -> None:
    message = verdict(ended(Trouble.ERROR, "a\n\n  b" + "x" * 5000)).message
    assert message.startswith("The agent ended its turn with an error: a bx")
    assert len(message) < 600
