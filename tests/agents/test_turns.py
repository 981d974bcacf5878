"""One turn of each agent, whose key is with the broker alone."""

from __future__ import annotations

import pytest

from gitward_standin.language_model import Say, Shell

from .stage import CHECKOUT, KEY, Theatre

# Of codex both kinds of models: those that call its tools one by one, and those that do it by a program.
TURNS = [
    ("claude", "claude-sonnet-4-5"),
    ("codex", None),
    ("codex", "gpt-5.1"),
    ("opencode", "anthropic/claude-sonnet-4-5"),
    ("opencode", None),
    ("qwen", None),
]


@pytest.mark.parametrize(("name", "model"), TURNS)
async def test_an_agent_uses_a_tool_edits_a_file_and_answers(theatre: Theatre, name: str, model: str | None) -> None:
    async with theatre.stage(name) as stage:
        turn = await stage.turn("Add NOTES.md.", model=model)
        assert turn.stop_reason == "end_turn", str(turn)
        assert await stage.sh(f"cat {CHECKOUT}/NOTES.md") == "Written by an agent.\n"
        assert stage.calls.tally.is_answered
        assert stage.calls.tally.answered == len([each for each in theatre.model.asked if each.question])
        assert stage.calls.tally.is_done
        assert {each.key for each in theatre.model.asked} == {KEY}
        if model is not None:
            assert {each.question.model for each in theatre.model.calls if each.question} == {model.rpartition("/")[2]}
        assert await stage.places_of_key() == ""
        assert stage.heard.refusals == []


@pytest.mark.parametrize("model", [None, "gpt-5.1"])
async def test_the_model_waits_for_a_command_that_takes_its_time(theatre: Theatre, model: str | None) -> None:
    """Codex itself gives its model a first look after ten seconds, and ends the command with the turn."""
    slow = Shell(command=f"sleep 11; echo done > {CHECKOUT}/RESULT")
    theatre.model.script = lambda question: slow if question.done == 0 else Say(text="Tested.")
    async with theatre.stage("codex") as stage:
        turn = await stage.turn("Test it.", model=model)
        assert turn.stop_reason == "end_turn", str(turn)
        assert await stage.sh(f"cat {CHECKOUT}/RESULT") == "done\n"


async def test_a_model_is_not_asked_to_guess_what_a_person_says_next(theatre: Theatre) -> None:
    """Nobody types here. Such a call looks like the work, costs as much, and may fail after it."""
    async with theatre.stage("claude") as stage:
        turn = await stage.turn("Add NOTES.md.", linger=3)
        assert turn.stop_reason == "end_turn", str(turn)
        assert {each.question.prompt for each in theatre.model.calls if each.question} == {"Add NOTES.md."}
        assert stage.calls.tally.is_done


async def test_what_a_model_refuses_is_an_answer(theatre: Theatre) -> None:
    theatre.model.script = lambda _: Say(text="I will not do that.", is_refusal=True)
    async with theatre.stage("claude") as stage:
        turn = await stage.turn("Do something bad.")
        assert turn.stop_reason == "refusal", str(turn)
        assert stage.calls.tally.is_answered


async def test_a_run_without_an_agent_does_not_reach_its_model(theatre: Theatre) -> None:
    async with theatre.stage("claude", is_agent=False) as stage:
        shown = await stage.sh("curl -sS -X POST https://api.anthropic.com/v1/messages -d '{}'")
        assert "api.anthropic.com is open to agents only" in shown
        assert theatre.model.asked == []
