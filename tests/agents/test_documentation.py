"""docs/agents.md and prompts of other pages: what they show is what these tests drive."""

from __future__ import annotations

import re
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from documented import code, commands, shell
from gitward.agents.agents_file import parse_catalogue
from gitward.agents.built_in import BUILT_IN
from gitward.agents.model_hosts import KNOWN, PLACEHOLDER
from gitward.cli.main import app
from reader import Reader, documents
from rig import LOGIN

from .house import House, house
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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def furnished() -> AsyncIterator[House]:
    """With `owner/repo`, and an agent for prompts that name none."""
    async with house(default="claude") as made:
        await made.service.github.add_repository("owner/repo", permissions={LOGIN: "admin"})
        yield made


@pytest.fixture
def reader(furnished: House, tmp_path: Path) -> Reader:
    return Reader(furnished.service, tmp_path)


POSTED = {
    "agents.md, set-up": shell("docs/agents.md", "set-up"),
    "agents.md, budgets": shell("docs/agents.md", "budgets"),
    "api.md, prompts": shell("docs/api.md", "prompts"),
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("script", POSTED.values(), ids=list(POSTED))
async def test_a_prompt_that_a_page_posts_becomes_a_pull_request(script: str, reader: Reader) -> None:
    [session] = documents(await reader.types(script))
    async with reader.there.client("dev") as caller:
        run, events = await caller.finished(session)
    assert (run["state"], run["changed"]) == ("succeeded", True), (run["message"], run["usage"], events[-6:])
    assert run["agent"]["name"] == "claude"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_prompt_on_the_command_line_becomes_a_pull_request(reader: Reader) -> None:
    shown = code("docs/quick-start.md", "with-a-coding-agent", "sh")
    [line] = [line for line in commands(shown) if " run " in line]
    assert "/pull/" in await reader.types(line)
    [page] = [line for line in commands(code("docs/terminal.md", "one-repository", "sh")) if "--prompt" in line]
    assert page.startswith("gitward run --prompt")
    out = await reader.types(page.replace("gitward run", "gitward run owner/repo", 1))  # not in a clone here
    assert "/pull/" in out
