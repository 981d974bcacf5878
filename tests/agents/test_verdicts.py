"""How each agent's turn is judged, by what the broker saw of its model: the table of verdicts with real agents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from gitward_standin.language_model import Fault, Say, Shell, StandInModel, Write, endless
from gitward_standin.language_model.questions import Question
from gitward_standin.language_model.scripts import Script
from rig import Json, data_of

from .house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")

BUILT_IN = ("claude", "codex", "opencode")
DONE = "There is nothing to do."


def one_call(command: str) -> Script:
    """A tool call, and then an answer."""
    return lambda question: Shell(command=command) if question.done == 0 else Say(text=DONE)


def writes_outside(question: Question) -> Write | Say:
    return Write(path="/etc/NOTES.md", text="x\n") if question.done == 0 else Say(text=DONE)


@dataclass(frozen=True, kw_only=True)
class Row:
    """What happens, and what the run comes to."""

    state: str = "failed"
    reason: str | None = None
    said: str = ""  # in its message
    script: Script = field(default=one_call("ls"))
    fails: Callable[[StandInModel], None] = lambda _: None
    body: Json = field(default_factory=dict)
    agents: tuple[str, ...] = BUILT_IN
    notice: str | None = None
    sides: bool = False  # whether a side call must have failed


ROWS = {
    "401 all through": Row(
        reason="model_failed", said="answered 401", fails=lambda model: model.fail(Fault.UNAUTHORIZED)
    ),
    "429 all through": Row(
        reason="model_failed", said="answered 429", fails=lambda model: model.fail(Fault.TOO_MANY), agents=("codex",)
    ),
    "500 all through": Row(
        reason="model_failed",
        said="answered 500",
        fails=lambda model: model.fail(Fault.BROKEN),
        body={"env": {"CLAUDE_CODE_MAX_RETRIES": "2"}},  # else claude tries for a minute and a half
    ),
    "401 after a tool call": Row(
        reason="model_failed",
        said="answered 401",
        fails=lambda model: model.fail(Fault.UNAUTHORIZED, sides=False, after=1),
    ),
    "only side calls fail": Row(
        state="succeeded", said=DONE, fails=lambda model: model.fail(Fault.UNAUTHORIZED, sides=True)
    ),
    "a side call fails last": Row(
        state="succeeded",
        said=DONE,
        fails=lambda model: model.fail(Fault.UNAUTHORIZED, sides=True, late=True),
        agents=("claude", "opencode"),  # codex makes its own as it ends, or is ended before; the row above has it too
        sides=True,
    ),
    "budget": Row(
        reason="budget_exhausted", said="3 model requests is used up", script=endless, body={"budget": {"requests": 3}}
    ),
    "endless tool calls": Row(reason="timed_out", said="time", script=endless, body={"timeout_seconds": 25}),
    "the agent is killed": Row(
        reason="agent_failed", said="ended in the middle of its turn", script=one_call("kill -9 -1")
    ),
    "refusal": Row(
        reason="task_failed",
        said="refused to go on",
        script=lambda _: Say(text="I will not.", is_refusal=True),
        agents=("claude",),  # the others take it for an answer
    ),
    "a tool is denied": Row(
        state="succeeded", said=DONE, script=writes_outside, notice="The agent's only tool call failed."
    ),
    "an answer without a change": Row(state="succeeded", said=DONE, script=lambda _: Say(text=DONE)),
}
CASES = [(agent, name) for name, row in ROWS.items() for agent in row.agents]


@pytest.mark.parametrize(("agent", "name"), CASES)
async def test_a_turn_is_judged_by_what_was_seen(at_home: House, agent: str, name: str) -> None:
    row = ROWS[name]
    at_home.model.script = row.script
    row.fails(at_home.model)
    body = {"timeout_seconds": 240, **row.body}
    repository = await at_home.service.repository()
    _, run, events = await at_home.caller.run(repository, prompt="Look around.", agent=agent, **body)
    assert (run["state"], run["reason"]) == (row.state, row.reason), (run, events[-8:])
    assert row.said in run["message"]
    told = [each["message"] for each in data_of(events, "notice")]
    assert row.notice is None or row.notice in told, (told, data_of(events, "agent.tool"))
    assert not run["changed"]
    refused = [each for each in at_home.model.asked if each.question and each.question.is_side and each.status == 401]
    assert refused or not row.sides
    asked = len(at_home.model.asked)
    await asyncio.sleep(0.5)
    assert len(at_home.model.asked) == asked  # nobody goes on
