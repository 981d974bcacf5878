"""Pushes that change .github/workflows/, with real git, the real broker process and real sandboxes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gitward.broker import Broker, OpenGrant
from gitward.grants.grant import Grant
from gitward.jobs.inspection import PackInspector
from gitward.sandboxes import Limits
from gitward.sandboxes.bubblewrap import BubblewrapEngine
from gitward.secrets import Secret
from gitward.standin import StandIn

from .conftest import BRANCH, REPOSITORY, TOKEN, Events, new_grant
from .rig import Inside, Result, commit

URL = f"https://github.com/{REPOSITORY}"
CI = ".github/workflows/ci.yml"
MAY_NOT = "this session may not change .github/workflows/"


@pytest.fixture
async def grant(github: StandIn) -> Grant:
    main = await github.repository(REPOSITORY).commit("main", {CI: "on: push\n"}, message="workflow")
    return replace(new_grant(allow_workflows=False), target_branch="main", target_sha=main)


@pytest.fixture
async def folder() -> AsyncIterator[Path]:
    """Where pushes are spooled: the sandbox's own user must get there."""
    folder = Path(tempfile.mkdtemp(prefix="gitward-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
async def inspector(folder: Path) -> AsyncIterator[PackInspector]:
    engine = BubblewrapEngine(slots=2)
    await engine.start()
    yield PackInspector(engine, folder, Limits())
    await engine.stop()


@pytest.fixture
async def opened(broker: Broker, grant: Grant, events: Events, inspector: PackInspector) -> OpenGrant:
    return await broker.open(grant, Secret(TOKEN), events, inspector)


@pytest.fixture
async def checkout(tools: Inside) -> Path:
    await tools.ok("git", "clone", "-q", URL, "demo")
    checkout = tools.home / "demo"
    await tools.ok("git", "checkout", "-q", "-b", BRANCH, cwd=checkout)
    return checkout


async def pushed(tools: Inside, checkout: Path, *options: str) -> Result:
    return await tools.git(*options, "push", "--force", "origin", f"HEAD:refs/heads/{BRANCH}", cwd=checkout)


async def test_other_files_are_pushed(
    tools: Inside, checkout: Path, github: StandIn, events: Events, folder: Path
) -> None:
    head = await commit(tools, checkout, "a.txt", b"a")
    result = await pushed(tools, checkout)
    assert result.status == 0, result
    assert await github.repository(REPOSITORY).head(BRANCH) == head
    assert [event.type for event in events.all] == ["branch.pushed"]
    assert list(folder.iterdir()) == []


async def test_a_changed_workflow_is_refused(
    tools: Inside, checkout: Path, github: StandIn, events: Events, folder: Path
) -> None:
    await commit(tools, checkout, CI, b"on: [push, pull_request]\n")
    result = await pushed(tools, checkout)
    assert result.status == 1
    reason = f"{MAY_NOT} (ci.yml); a session with allow_workflows=true may"
    assert f"! [remote rejected] HEAD -> {BRANCH} ({reason})" in result.err
    (event,) = await events.wait(1)
    assert event.data == {"rule": "git.push.workflows", "message": f"push refs/heads/{BRANCH}: {reason}"}
    assert await github.repository(REPOSITORY).head(BRANCH) is None
    assert list(folder.iterdir()) == []
