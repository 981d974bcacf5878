"""Commits whose messages close other repositories' issues, pushed by real git through the broker and its sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitward.broker import Brokers, OpenGrant
from gitward.grants.grant import Grant
from gitward.repositories.pack_inspection.inspector import PackInspector
from gitward.secrets import Secret
from gitward_standin import StandIn

from .conftest import BRANCH, REPOSITORY, TOKEN, Events, new_grant
from .rig import Inside, Result, commit

RULE = "git.push.closing"
WHY = "a commit's message closes an issue of another repository: {}; write it without that"


@pytest.fixture
def grant() -> Grant:
    """One that may change workflows: the messages are read all the same."""
    return new_grant(own_writes=True, allow_workflows=True)


@pytest.fixture
async def opened(broker: Brokers, grant: Grant, events: Events, inspector: PackInspector) -> OpenGrant:
    return await broker.open(grant, Secret(TOKEN), events, inspector)


@pytest.fixture
async def checkout(tools: Inside) -> Path:
    await tools.ok("git", "clone", "-q", f"https://github.com/{REPOSITORY}", "demo")
    return tools.home / "demo"


async def push(tools: Inside, checkout: Path, *messages: str) -> Result:
    """New commits with these messages on the session's branch, all in one push."""
    await tools.ok("git", "checkout", "-q", "-B", BRANCH, "origin/main", cwd=checkout)
    for message in messages:
        await tools.ok("git", "commit", "-q", "--allow-empty", "--cleanup=verbatim", "-m", message, cwd=checkout)
    return await tools.git("push", "--force", "origin", f"HEAD:refs/heads/{BRANCH}", cwd=checkout)


@pytest.mark.parametrize(
    ("messages", "reference"),
    [
        (("Closes acme/secret#1",), "acme/secret#1"),
        (("harmless", "Subject\n\nBody\n\nFixes: https://github.com/acme/secret/issues/7\n", "harmless"),
         "https://github.com/acme/secret/issues/7"),
        (("harmless", f"x{' y' * 20000}\nresolves ACME/secret#2"), "acme/secret#2"),
    ],
)  # fmt: skip
async def test_the_push_is_refused(
    tools: Inside, checkout: Path, github: StandIn, events: Events, *, messages: tuple[str, ...], reference: str
) -> None:
    result = await push(tools, checkout, *messages)
    assert result.status == 1
    assert WHY.format(reference) in " ".join(result.err.split())
    assert [event.data["rule"] for event in await events.wait(1)] == [RULE]
    assert await github.repository(REPOSITORY).head(BRANCH) is None


async def test_messages_about_the_own_issues_pass(tools: Inside, checkout: Path, github: StandIn) -> None:
    result = await push(tools, checkout, "Closes #1", f"fixes {REPOSITORY}#2, see acme/secret#1", "x")
    assert result.status == 0, result
    assert await github.repository(REPOSITORY).head(BRANCH) is not None


async def test_what_upstream_has_already_is_not_read(tools: Inside, checkout: Path, github: StandIn) -> None:
    """A merge of the target's own history must not be refused for it."""
    await github.repository(REPOSITORY).commit("main", {"a": "b\n"}, message="Closes acme/secret#1")
    await tools.ok("git", "fetch", "-q", "origin", cwd=checkout)
    assert (await push(tools, checkout, "mine")).status == 0


async def test_a_message_without_end_is_refused(tools: Inside, checkout: Path, github: StandIn) -> None:
    await commit(tools, checkout, "a.txt", b"a\n")
    (checkout / "message").write_text("x" * 200_000)
    await tools.ok("git", "commit", "-q", "--allow-empty", "-F", "message", cwd=checkout)
    result = await tools.git("push", "origin", f"HEAD:refs/heads/{BRANCH}", cwd=checkout)
    assert result.status == 1
    assert "a commit must have at most 131072 bytes with its message" in " ".join(result.err.split())
    assert await github.repository(REPOSITORY).head(BRANCH) is None
