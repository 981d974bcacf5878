"""The text of a pull request fits into what GitHub takes, whatever ran."""

from __future__ import annotations

import pytest

from gitward.runs.steps.pull_request import body
from gitward.sessions.model import Instruction, Owner
from tests_support import Backend

GITHUB_BODY_CHARACTERS = 65_536


async def test_the_longest_command_does_not_make_the_body_too_long(backend: Backend, alice: Owner) -> None:
    session = await backend.create(alice, instruction=Instruction(command='echo "`date`"\n' + "x" * 65_500))
    text = body(session, session.runs[0], "http://localhost:8000/sessions/1")
    assert len(text) < GITHUB_BODY_CHARACTERS
    assert text.endswith("http://localhost:8000/sessions/1\n")
    assert "(cut; the whole is in the session)" in text


LINK = "http://localhost:8000/sessions/1"
ASKED = Instruction(prompt="Fix the typo", agent="claude", model="m-1")


async def test_an_agents_last_message_comes_first_then_what_it_was_asked(backend: Backend, alice: Owner) -> None:
    session = await backend.create(alice, instruction=ASKED, target_branch="main")
    assert body(session, session.runs[0], LINK, "Fixed it, @octocat.\n\nCloses #7") == (
        "> Fixed it, @\u200boctocat.\n>\n> Closes #\u200b7\n\n"
        "Gitward asked the agent `claude`, model `m-1`, on `main`:\n\n```text\nFix the typo\n```\n\n"
        f"Session {session.id}, run 1: {LINK}\n"
    )


async def test_an_agent_that_said_nothing_and_has_no_model(backend: Backend, alice: Owner) -> None:
    session = await backend.create(alice, instruction=Instruction(prompt="Fix", agent="claude"), target_branch="main")
    assert body(session, session.runs[0], LINK).startswith("Gitward asked the agent `claude`, on `main`:")


@pytest.mark.parametrize("said", ["@a" * 8_000, "\n" * 16_000, "#1\n" * 5_000, "<a" * 8_000, "```\n" * 4_000])
async def test_the_longest_message_does_not_make_the_body_too_long(backend: Backend, alice: Owner, said: str) -> None:
    instruction = Instruction(prompt="`" * 65_500, agent="claude", model="m" * 128)
    session = await backend.create(alice, instruction=instruction)
    text = body(session, session.runs[0], LINK, said)
    assert len(text) < GITHUB_BODY_CHARACTERS
    assert text.endswith(f"{LINK}\n")


async def test_a_title_made_of_a_prompt_calls_nobody(backend: Backend, alice: Owner) -> None:
    prompt = "  Ask @octocat, fixes #1 and " + "x" * 100 + "\nMore."
    session = await backend.create(alice, instruction=Instruction(prompt=prompt, agent="claude"))
    assert session.title.startswith("Ask @\u200boctocat, fixes #\u200b1 and xxx")
    assert session.title.endswith("x…")
    assert "\n" not in session.title
