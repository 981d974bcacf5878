"""Real gh, Debian's and the newest, through the real broker process.

All that people do with it is in tests/acceptance/test_gh.py, the texts of refusals in test_refusal_texts.py.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from gitward.broker import BrokerConfig, Brokers, OpenGrant
from gitward.secrets import Secret
from gitward_standin import StandIn

from .conftest import BRANCH, REPOSITORY, TOKEN, Events, new_grant
from .rig import Inside, commit, inside

OLD, NEW = "/usr/bin/gh", str(Path(sys.executable).with_name("gh"))


@pytest.fixture(params=[OLD, NEW], ids=["2.23", "2.102"])
def gh(request: pytest.FixtureRequest) -> str:
    path: str = request.param
    return path


async def login(tools: Inside, opened: OpenGrant, gh: str = OLD) -> None:
    result = await tools.run(gh, "auth", "login", "--with-token", text=opened.credential)
    assert result.status == 0, result


@pytest.fixture
async def checkout(tools: Inside, opened: OpenGrant, gh: str) -> Path:
    """A clone whose session branch is pushed, with gh logged in, and git sent from SSH to https."""
    await login(tools, opened, gh)
    with (tools.home / ".gitconfig").open("a") as file:
        file.write('[url "https://github.com/"]\n\tinsteadOf = git@github.com:\n\tinsteadOf = ssh://git@github.com/\n')
    await tools.ok("git", "clone", "-q", f"https://github.com/{REPOSITORY}", "demo")
    checkout = tools.home / "demo"
    await tools.ok("git", "checkout", "-q", "-b", BRANCH, cwd=checkout)
    await commit(tools, checkout, "a.txt", b"a\n")
    await tools.ok("git", "push", "-q", "-u", "origin", BRANCH, cwd=checkout)
    return checkout


async def test_login_status_and_setup_git(
    tools: Inside, opened: OpenGrant, github: StandIn, events: Events, gh: str
) -> None:
    """gh takes the run credential for a token, though the token's scopes are fewer than gh asks for."""
    (tools.home / ".git-credentials").unlink()
    (tools.home / ".gitconfig").unlink()
    await login(tools, opened, gh)
    status = await tools.run(gh, "auth", "status")
    assert status.status == 0
    assert "Logged in to github.com a" in status.out + status.err
    await tools.ok(gh, "auth", "setup-git")
    await tools.ok("git", "clone", "-q", f"https://github.com/{REPOSITORY}", "demo")
    assert await tools.ok(gh, "api", f"repos/{REPOSITORY}", "--jq", ".full_name") == f"{REPOSITORY}\n"
    assert events.all == []
    assert {request.login for request in github.requests} == {"dev"}


async def test_the_token_is_not_inside(tools: Inside, opened: OpenGrant) -> None:
    """What gh tells whoever asks is the run credential; upstream has never heard of it."""
    await login(tools, opened)
    assert (await tools.ok("gh", "auth", "token")).strip() == opened.credential
    written = [file.read_bytes() for file in tools.home.rglob("*") if file.is_file()]
    assert any(opened.credential.encode() in text for text in written)
    assert not any(TOKEN.encode() in text for text in written)


async def test_a_repository(tools: Inside, checkout: Path, gh: str, events: Events) -> None:
    assert "A repository of the stand-in" in await tools.ok(gh, "repo", "view", cwd=checkout)
    fields = "name,owner,defaultBranchRef,id,parent,description,isPrivate,viewerPermission,url,sshUrl"
    shown = json.loads(await tools.ok(gh, "repo", "view", "--json", fields, cwd=checkout))
    assert (shown["name"], shown["owner"]["login"]) == ("demo", "octo")
    await tools.ok(gh, "repo", "clone", REPOSITORY, "../again", cwd=checkout)
    assert (tools.home / "again" / ".git").is_dir()
    for argv in (["run", "list"], ["release", "list"], ["label", "list"], ["workflow", "list"]):
        await tools.ok(gh, *argv, cwd=checkout)
    missing = await tools.run(gh, "run", "view", "1", cwd=checkout)
    assert "HTTP 404" in missing.err
    assert {event.type for event in events.all} == {"branch.pushed"}


async def test_a_pull_request(tools: Inside, checkout: Path, gh: str, events: Events, github: StandIn) -> None:
    """All that gh pr does with the session's own, with a token of the documented scopes."""

    async def pr(*argv: str) -> str:
        return await tools.ok(gh, "pr", *argv, cwd=checkout)

    assert await pr("create", "--title", "T", "--body", "B", "--draft") == "https://github.com/octo/demo/pull/1\n"
    assert BRANCH in await pr("list")
    assert "DRAFT" in await pr("list", "--author", "@me", "--search", "T")
    assert "title:\tT" in await pr("view", "1")
    await pr("view", "--comments")
    assert BRANCH in await pr("status")
    await pr("edit", "1", "--title", "New", "--body", "More", "--add-assignee", "dev")
    assert "issuecomment" in await pr("comment", "1", "--body", "hello")
    assert "+a" in await pr("diff", "1")
    await pr("ready", "1")
    shown = await pr(
        "view", "--json", "assignees,author,body,comments,commits,files,isDraft,reviewRequests,statusCheckRollup,title"
    )
    pull = json.loads(shown)
    assert (pull["title"], pull["body"], pull["isDraft"]) == ("New", "More", False)
    assert [person["login"] for person in pull["assignees"]] == ["dev"]
    assert [comment["body"] for comment in pull["comments"]] == ["hello"]
    assert [file["path"] for file in pull["files"]] == ["a.txt"]
    await pr("ready", "1", "--undo")
    await pr("checkout", "1")
    checks = await tools.run(gh, "pr", "checks", "1", cwd=checkout)
    assert f"no checks reported on the '{BRANCH}' branch" in checks.err
    assert {event.type for event in events.all} == {"branch.pushed"}
    assert {request.login for request in github.requests if request.path.startswith("/api/")} == {"dev"}


async def test_enterprise_server(github: StandIn, events: Events, tmp_path: Path) -> None:
    """One host for git and both APIs, below /api."""
    config = BrokerConfig(
        server_url="https://ghe.example",
        api_url="https://ghe.example/api/v3",
        upstream_url=github.url,
        upstream_api_url=github.api_url,
    )
    broker = Brokers(config)
    await broker.start()
    opened = await broker.open(new_grant(), Secret(TOKEN), events)
    async with inside(tmp_path / "home", "ghe.example") as tools:
        tools.trust(opened)
        await opened.attach([tools.listener])
        login = await tools.run(
            "gh", "auth", "login", "--with-token", "--hostname", "ghe.example", text=opened.credential
        )
        assert login.status == 0, login
        status = await tools.run("gh", "auth", "status", "--hostname", "ghe.example")
        assert "Logged in to ghe.example as dev" in status.out + status.err
        await tools.ok("gh", "auth", "setup-git", "--hostname", "ghe.example")
        await tools.ok("git", "clone", "-q", f"https://ghe.example/{REPOSITORY}", "demo")
        assert (await tools.run("gh", "api", "--hostname", "ghe.example", "user/keys")).status == 1
    assert [event.data["rule"] for event in await events.wait(1)] == ["rest.unlisted"]
    await broker.stop()
