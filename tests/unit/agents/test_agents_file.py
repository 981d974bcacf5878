"""GITWARD_AGENTS_FILE: what it may say, and the sentence for what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitward.agents.agents_file import WrongAgentsFile, read_catalogue
from gitward.agents.catalogue import AgentFile, ModelSetting
from gitward.agents.model_hosts import OPENAI, ModelHost

WHOLE = """
default = "qwen"

[agents.qwen]
title = "Qwen Code"
program = "/opt/qwen"
needs_node = true
argv = ["{node}", "{program}/cli.js", "--acp"]
env = { OPENAI_MODEL = "{model}" }
folders = ["state"]
files = { "settings.json" = "{}" }
hosts = ["api.openai.com", { host = "LLM.example", port = 8443, variable = "LLM_KEY" }]
conversation = ["chats/*.json"]
mode = "yolo"
model = "qwen3-coder"
model_setting = "start"
"""


def test_an_agent_of_the_file_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "agents.toml"
    file.write_text(WHOLE)
    catalogue = read_catalogue(file)
    assert catalogue.default == "qwen"
    assert {"claude", "codex", "opencode", "qwen"} == set(catalogue.agents)
    qwen = catalogue.agents["qwen"]
    assert qwen.hosts == (OPENAI, ModelHost(host="llm.example", port=8443, variable="LLM_KEY"))
    assert qwen.files == (AgentFile(path="settings.json", text="{}"),)
    assert (qwen.mode, qwen.model, qwen.model_setting) == ("yolo", "qwen3-coder", ModelSetting.START)
    assert qwen.start().argv == ("/gitward/agents/node/bin/node", "/gitward/agents/qwen/cli.js", "--acp")
    assert qwen.start().env == {"OPENAI_MODEL": "qwen3-coder"}


def test_without_a_file_there_are_the_built_in_agents() -> None:
    assert set(read_catalogue(None).agents) == {"claude", "codex", "opencode"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[agents.x", "is not TOML"),
        ("surplus = 1", "the file has no key 'surplus'; there are default, agents"),
        ("agents = 1", "`agents` must be a table for each agent"),
        ('default = "nobody"', "`default` must name an agent: claude, codex, opencode"),
        ("default = []", "`default` must name an agent"),
        ("[agents]\nx = 1", "[agents.x] must be a table"),
        ("[agents.x]", "[agents.x] argv must name a program"),
        ('[agents.X]\nargv = ["x"]', "[agents.X] must have a name of lower-case letters"),
        ('[agents.node]\nargv = ["x"]', "other than node"),
        ('[agents.x]\nargv = "x --acp"', "[agents.x] argv must be a list of texts"),
        ('[agents.x]\nargv = ["x"]\narguments = []', "[agents.x] has no key 'arguments'"),
        ('[agents.x]\nargv = ["x"]\nenv = { "A B" = "c" }', "[agents.x] env must be a table of variables"),
        ('[agents.x]\nargv = ["x"]\nfiles = { "../x" = "" }', "[agents.x] files must be a table of paths below"),
        ('[agents.x]\nargv = ["x"]\nfolders = ["/etc"]', "[agents.x] folders must have paths below"),
        ('[agents.x]\nargv = ["x"]\nconversation = ["a/../../b"]', "[agents.x] conversation must have paths below"),
        ('[agents.x]\nargv = ["x"]\nhosts = "x"', '[agents.x] hosts must be a list such as ["api.openai.com"]'),
        ('[agents.x]\nargv = ["x"]\nhosts = [{ port = 1 }]', "[agents.x] hosts must have entries such as"),
        ('[agents.x]\nargv = ["x"]\nhosts = [{ host = "a", key = "k" }]', "[agents.x] hosts must have entries such as"),
        ('[agents.x]\nargv = ["x"]\nmodel_setting = "magic"', "model_setting must be one of start, option, none"),
        ('[agents.x]\nargv = ["x"]\nmodel = "a b"', "[agents.x] model must be a model's name"),
        ('[agents.x]\nargv = ["x"]\nneeds_node = 1', "[agents.x] needs_node must be true or false"),
        ('[agents.x]\nargv = ["x"]\nprogram = "opt"', "[agents.x] program must be the absolute path"),
        ('[agents.x]\nargv = ["x"]\ntitle = "a\\nb"', "[agents.x] title must be a short text of one line"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "agents.toml"
    file.write_text(text)
    with pytest.raises(WrongAgentsFile) as caught:
        read_catalogue(file)
    assert sentence in str(caught.value)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "agents.toml"
    file.write_text('[agents.x]\nargv = []\nmode = 1\n[agents.y]\nargv = ["y"]\nenv = 3')
    with pytest.raises(WrongAgentsFile) as caught:
        read_catalogue(file)
    assert len(caught.value.problems) == 3


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(WrongAgentsFile, match=r"cannot be read \(FileNotFoundError\)"):
        read_catalogue(tmp_path / "none.toml")
