"""How an agent is started: marks, models and keys."""

from __future__ import annotations

import json
import tomllib

import pytest

from gitward.agents.built_in import BUILT_IN, CLAUDE, CODEX, OPENCODE
from gitward.agents.catalogue import Agent, AgentFile, ModelSetting, NotAModel
from gitward.agents.model_hosts import ANTHROPIC, OPENAI, PLACEHOLDER


def test_a_model_that_is_named_stands_where_the_agent_looks_for_it() -> None:
    assert CLAUDE.start(model="claude-sonnet-4-5").env["ANTHROPIC_MODEL"] == "claude-sonnet-4-5"
    config = tomllib.loads(CODEX.start(model="gpt-5.1").files["/workspace/agent/codex/config.toml"])
    assert config["model"] == "gpt-5.1"
    text = OPENCODE.start(model="anthropic/claude-sonnet-4-5").files[
        "/workspace/agent/opencode/config/opencode/opencode.json"
    ]
    assert json.loads(text)["model"] == "anthropic/claude-sonnet-4-5"


@pytest.mark.parametrize("agent", BUILT_IN.values(), ids=lambda agent: agent.name)
def test_without_a_model_nothing_of_one_is_left(agent: Agent) -> None:
    start = agent.start()
    everything = [*start.argv, *start.env.values(), *start.files.values(), *start.files]
    assert not [text for text in everything if "{" in text and "{model}" in text]
    assert "ANTHROPIC_MODEL" not in start.env
    for path, text in start.files.items():
        document = json.loads(text) if path.endswith(".json") else tomllib.loads(text)
        assert "model" not in document


@pytest.mark.parametrize("agent", BUILT_IN.values(), ids=lambda agent: agent.name)
def test_everything_of_an_agent_lies_below_its_own_folder(agent: Agent) -> None:
    start = agent.start(model="some/model")
    assert start.folders[0] == start.folder == f"/workspace/agent/{agent.name}"
    assert all(path.startswith(f"{start.folder}/") for path in (*start.folders[1:], *start.files))


def test_only_providers_whose_key_is_there_get_a_placeholder() -> None:
    assert "ANTHROPIC_API_KEY" not in OPENCODE.start().env
    start = OPENCODE.start(keys=[OPENAI.place])
    assert start.env["OPENAI_API_KEY"] == PLACEHOLDER
    assert "ANTHROPIC_API_KEY" not in start.env


def test_what_a_mark_stands_for_is_escaped_in_files_and_only_there() -> None:
    agent = Agent(
        name="odd",
        title="Odd",
        argv=("{program}/odd", "--model={model}", "--verbose"),
        env={"WHERE": "{folder}"},
        files=(AgentFile(path="config.json", text='{"model": "{model}"}'),),
        model_setting=ModelSetting.START,
    )
    start = agent.start(model="a|b$c")
    assert start.argv == ("/gitward/agents/odd/odd", "--model=a|b$c", "--verbose")
    assert json.loads(start.files["/workspace/agent/odd/config.json"]) == {"model": "a|b$c"}
    assert agent.start().argv == ("/gitward/agents/odd/odd", "--verbose")
    assert start.env == {"WHERE": "/workspace/agent/odd"}


@pytest.mark.parametrize("model", ["", " ", 'x"y', "a\nb", "-x", "x" * 200, "{program}"])
def test_what_cannot_be_a_model_s_name_is_refused(model: str) -> None:
    with pytest.raises(NotAModel, match="must be a model's name"):
        Agent(name="any", title="Any", argv=("any",)).start(model=model or "\0")


def test_known_providers_open_single_paths() -> None:
    """A key opens more than models: files, batches, other people's names."""
    for host in (ANTHROPIC, OPENAI):
        assert host.paths
        assert not any("*" in path for path in host.paths)
