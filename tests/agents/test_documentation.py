"""docs/agents.md: what it shows is what these tests drive."""

from __future__ import annotations

import re
import tomllib

import pytest
from typer.testing import CliRunner

from gitward.agents.agents_file import parse_catalogue
from gitward.agents.built_in import BUILT_IN
from gitward.agents.model_hosts import KNOWN, PLACEHOLDER
from gitward.cli.main import app

from .stage import PROGRAMS, QWEN

PAGE = (PROGRAMS.parents[1] / "docs" / "agents.md").read_text()
COMMANDS = sorted({line.strip() for line in re.findall(r"^(gitward [^\n#]+)", PAGE, re.MULTILINE)})


def test_the_agent_of_the_file_is_the_one_that_is_driven() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    document = tomllib.loads(block)
    shown = document["agents"]["qwen"]
    assert {**shown, "program": QWEN["program"]} == QWEN
    assert parse_catalogue(document).agents["qwen"].program == "/opt/qwen"


@pytest.mark.parametrize("agent", BUILT_IN.values(), ids=list(BUILT_IN))
def test_the_table_names_what_is_installed(agent: object) -> None:
    package = BUILT_IN[getattr(agent, "name", "")].package
    assert package is not None
    assert f"`{package.name}` {package.version}" in PAGE


def test_keys_paths_and_placeholder_are_told_as_they_are() -> None:
    assert PLACEHOLDER in PAGE
    for host in KNOWN:
        assert f"`{host.variable}`" in PAGE
        assert ", ".join(f"`{path}`" for path in host.paths) in PAGE


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_one_of_gitward_s(command: str) -> None:
    words = [word for word in command.split()[1:] if not word.startswith("-")]
    known = CliRunner().invoke(app, [*words[: 2 if words[0] == "agents" else 1], "--help"])
    assert known.exit_code == 0, known.output
    for option in re.findall(r"--[a-z-]+", command):
        assert option in known.output
