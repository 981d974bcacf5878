"""The doctor's look at an agent: it starts, without a model and without a way out."""

from __future__ import annotations

import pytest

from gitward.agents.agents_file import parse_catalogue
from gitward.agents.installed import Agents
from gitward.cli.agent_trial import NotStarted, initialise
from gitward.sandboxes import Limits

from .stage import PROGRAMS, Theatre, catalogue

ANSWERS = {
    "claude": "@agentclientprotocol/claude-agent-acp 0.101.0",
    "codex": "@agentclientprotocol/codex-acp 2.6.0",
    "opencode": "OpenCode 1.18.33",
    "qwen": "qwen-code 0.15.10",
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_agent_answers_to_its_first_request(theatre: Theatre, name: str) -> None:
    agents = Agents(catalogue(), PROGRAMS)
    agent = agents.get(name)
    assert agent is not None
    assert await initialise(agents, agent, theatre.engine, theatre.folder, Limits()) == ANSWERS[name]
    assert [path.name for path in theatre.folder.iterdir() if path.name.startswith("doctor-")] == []


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["/bin/false"], "it ended"),
        (["/bin/bash", "-c", "echo 'no way' >&2"], "it ended: no way"),
        (["/bin/bash", "-c", 'echo \'{"id": 1, "result": {"protocolVersion": 9}}\'; sleep 99'], "another version"),
    ],
)
async def test_one_that_does_not_start_is_told_in_a_sentence(theatre: Theatre, argv: list[str], sentence: str) -> None:
    agents = Agents(parse_catalogue({"agents": {"odd": {"argv": argv}}}), PROGRAMS)
    agent = agents.get("odd")
    assert agent is not None
    with pytest.raises(NotStarted, match=sentence):
        await initialise(agents, agent, theatre.engine, theatre.folder, Limits())
