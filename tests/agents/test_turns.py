"""One turn of each agent with a stand-in model."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitward.agents.agents_file import Catalogue
from gitward.agents.built_in import BUILT_IN
from gitward.sandboxes.bubblewrap import BubblewrapEngine
from gitward.standin.model import StandInModel

from .stage import CHECKOUT, KEY, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODELS = {"claude": "claude-sonnet-4-5", "codex": "gpt-5.1", "opencode": "anthropic/claude-sonnet-4-5"}


@pytest.mark.parametrize("name", BUILT_IN)
async def test_an_agent_uses_a_tool_edits_a_file_and_answers(
    name: str, folder: Path, engine: BubblewrapEngine, programs: Path, model: StandInModel, catalogue: Catalogue
) -> None:
    agent = BUILT_IN[name]
    async with staged(folder, engine, programs, model, catalogue, agent) as stage:
        turn = await stage.turn(agent, "Add NOTES.md.", model=MODELS[name])
        print(*[str(line)[:1500] for line in turn.lines], turn.stderr[-3000:], sep="\n")
        print(
            [
                (
                    a.host,
                    a.method,
                    a.path,
                    a.status,
                    a.question and (a.question.model, a.question.tools, a.question.done, a.question.prompt[:100]),
                )
                for a in model.asked
            ]
        )
        print(stage.calls.tally, [e.data for e in stage.events])
        assert turn.stop_reason == "end_turn"
        assert await stage.sh(f"cat {CHECKOUT}/NOTES.md") == "Written by an agent.\n"
        assert stage.calls.tally.is_answered
        assert {each.key for each in model.asked} == {KEY}
