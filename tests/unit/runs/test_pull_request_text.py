"""The text of a pull request fits into what GitHub takes, whatever ran."""

from __future__ import annotations

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
