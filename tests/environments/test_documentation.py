"""The page on environments says what works: its commands, and the setup of its monorepo."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from documented import commands, shell
from gitward.environments import sources
from gitward.environments.sources import Kind
from gitward.environments.store import Unusable
from made_environments import STORE
from reader import Reader, documents
from rig import LOGIN, data_of, output, rig

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/environments.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines()]

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_its_debian_recipes_are_those_that_the_tests_are_made_by() -> None:
    """scripts/environments runs them, with other packages."""
    made = next(line for line in (ROOT / "scripts/environments").read_text().splitlines() if "mmdebstrap --" in line)
    ours = [word for word in shlex.split(made) if word.startswith("--variant") or word == "bookworm"]
    told = [shlex.split(line) for line in LINES if line.startswith("mmdebstrap")]
    assert len(told) == 2
    for words in told:
        assert [word for word in words if word.startswith("--variant") or word == "bookworm"] == ours
        [packages] = [word for word in words if word.startswith("--include")]
        assert {"git", "gh", "ca-certificates", "libstdc++6"} <= set(packages.removeprefix("--include=").split(","))


def kind_of(source: str) -> Kind:
    """Of what does not exist here, but has the right form."""
    with pytest.raises(Unusable, match=r"does not exist|there is no such") as refused:
        return sources.parse(source).kind
    return Kind.FOLDER if "does not exist" in str(refused.value) else Kind(source.partition(":")[0])


async def test_every_source_of_its_commands_is_one() -> None:
    text = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
    told = [*LINES, *(" ".join(each.split()) for each in re.findall(r"`([^`]+)`", text))]
    named = [line for line in told if line.startswith("gitward environments add ")]
    words = [shlex.split(line, comments=True) for line in named]
    given = {each[4] for each in words if len(each) > 4 and each[4] != "SOURCE"}
    found = {sources.parse(each).kind if each.startswith("docker://") else kind_of(each) for each in given}
    assert found == set(Kind)


async def test_a_setup_like_that_of_its_monorepo_runs(place: Path) -> None:
    """Two toolchains in folders of their own; here each part says what it found."""
    block = next(block for block in BLOCKS if block.startswith("# .gitward/setup"))
    assert re.findall(r"^\(cd (\w+) && ", block, re.MULTILINE) == ["server", "tools"]
    setup = "(cd tools && python3 -m venv --without-pip .venv)\n(cd server && ! command -v go)\n"
    files = {"tools/requirements.txt": "\n", "server/go.mod": "module example.com/app\n", ".gitward/setup": setup}
    async with rig(None, None, GITWARD_ENVIRONMENTS_DIR=str(STORE)) as service, service.client() as client:
        command = "tools/.venv/bin/python -c 'print(6 * 7)'"
        _, run, events = await client.run(
            await service.repository(files=files), command, environment="python", setup=True
        )
    assert run["state"] == "succeeded", output(events, "setup")
    assert output(events) == "42\n"
    assert data_of(events, "notice") == []


async def test_the_session_of_its_first_example_finds_its_tools(tmp_path: Path) -> None:
    files = {"go.mod": "module example.com/app\n\ngo 1.19\n", "main.go": "package main\n\nfunc main() {}\n"}
    [posted] = [each for each in commands(shell("docs/environments.md", "environments-and-setup")) if "curl" in each]
    async with rig(None, None, GITWARD_ENVIRONMENTS_DIR=str(STORE)) as service, service.client("dev") as client:
        await service.github.add_repository("owner/repo", permissions={LOGIN: "admin"}, files=files)
        [session] = documents(await Reader(service, tmp_path).types(posted))
        run, events = await client.finished(session)
    assert run["state"] == "succeeded", (output(events, "setup"), output(events))
