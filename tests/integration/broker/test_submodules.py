"""Submodules of the repositories that the session lists, by every spelling of their address, with real git."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitward.grants.grant import Grant
from gitward_standin import StandIn

from .conftest import BRANCH, REPOSITORY, Events, new_grant
from .rig import Inside

URL = f"https://github.com/{REPOSITORY}"
# What a sandbox's ~/.gitconfig must have, so that addresses for SSH lead to the broker too.
OVER_HTTPS = """
[url "https://github.com/"]
	insteadOf = git@github.com:
	insteadOf = ssh://git@github.com/
"""
ADDRESSES = (
    "https://github.com/octo/library",
    "https://github.com/octo/library.git",
    "git@github.com:octo/library.git",
    "ssh://git@github.com/octo/library.git",
    "../library.git",
)


@pytest.fixture
def grant() -> Grant:
    return new_grant(readable=("octo/library",))


@pytest.fixture
async def checkout(tools: Inside, github: StandIn) -> Path:
    await github.add_repository("octo/library", files={"code.txt": "library\n"}, permissions={"dev": "push"})
    with (tools.home / ".gitconfig").open("a") as file:
        file.write(OVER_HTTPS)
    await tools.ok("git", "clone", "-q", URL, "demo")
    await tools.ok("git", "checkout", "-q", "-b", BRANCH, cwd=tools.home / "demo")
    return tools.home / "demo"


async def test_listed_submodules_are_fetched(tools: Inside, checkout: Path, events: Events, github: StandIn) -> None:
    for number, address in enumerate(ADDRESSES):
        await tools.ok("git", "submodule", "--quiet", "add", address, f"lib{number}", cwd=checkout)
    await tools.ok("git", "commit", "-q", "-m", "add submodules", cwd=checkout)
    await tools.ok("git", "push", "-q", "origin", BRANCH, cwd=checkout)
    await tools.ok("git", "clone", "-q", "--branch", BRANCH, URL, "again")
    again = tools.home / "again"
    await tools.ok("git", "submodule", "--quiet", "update", "--init", cwd=again)
    for number in range(len(ADDRESSES)):
        assert (again / f"lib{number}" / "code.txt").read_text() == "library\n"
    assert [event.type for event in events.all] == ["branch.pushed"]
    assert {request.login for request in github.requests if request.method == "POST"} == {"dev"}


async def test_submodules_are_never_written(tools: Inside, checkout: Path, events: Events) -> None:
    await tools.ok("git", "clone", "-q", "git@github.com:octo/library.git", "library")
    library = tools.home / "library"
    await tools.ok("git", "commit", "-q", "--allow-empty", "-m", "more", cwd=library)
    pushed = await tools.git("push", "origin", f"HEAD:{BRANCH}", cwd=library)
    assert pushed.status == 128
    assert f"remote: Gitward: this session may only push to {REPOSITORY}" in pushed.err
    assert (await events.wait(1))[0].data["rule"] == "git.push.repository"


async def test_a_submodule_that_is_not_listed_is_refused_readably(
    tools: Inside, checkout: Path, events: Events
) -> None:
    for address in ("https://github.com/octo/other", "git@github.com:octo/other.git"):
        added = await tools.git("submodule", "add", address, "other", cwd=checkout)
        assert added.status == 128
        assert "remote: Gitward: this session may only fetch from octo/demo, octo/library" in added.err
    assert [event.data["rule"] for event in await events.wait(2)] == ["git.fetch.repository"] * 2
