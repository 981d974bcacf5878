"""Real gh through the real broker process."""

from __future__ import annotations

from pathlib import Path

from gitward.broker import Broker, BrokerConfig, OpenGrant
from gitward.secrets import Secret
from gitward.standin import StandIn

from .conftest import REPOSITORY, TOKEN, Events, new_grant
from .rig import Inside, inside

ALLOWED = "this session may only ask for GET /, GET /user, GET /repos/octo/demo"


async def login(tools: Inside, opened: OpenGrant) -> None:
    result = await tools.run("gh", "auth", "login", "--with-token", text=opened.credential)
    assert result.status == 0, result


async def test_login_status_and_setup_git(tools: Inside, opened: OpenGrant, github: StandIn, events: Events) -> None:
    """gh takes the run credential for a token, though the token's scopes are fewer than gh asks for."""
    (tools.home / ".git-credentials").unlink()
    (tools.home / ".gitconfig").unlink()
    await login(tools, opened)
    status = await tools.run("gh", "auth", "status")
    assert status.status == 0
    assert "Logged in to github.com as dev" in status.out + status.err
    await tools.ok("gh", "auth", "setup-git")
    await tools.ok("git", "clone", "-q", f"https://github.com/{REPOSITORY}", "demo")
    assert await tools.ok("gh", "api", f"repos/{REPOSITORY}", "--jq", ".full_name") == f"{REPOSITORY}\n"
    assert events.all == []
    assert {request.login for request in github.requests} == {"dev"}


async def test_the_token_is_not_inside(tools: Inside, opened: OpenGrant) -> None:
    """What gh tells whoever asks is the run credential; upstream has never heard of it."""
    await login(tools, opened)
    assert (await tools.ok("gh", "auth", "token")).strip() == opened.credential
    written = [file.read_bytes() for file in tools.home.rglob("*") if file.is_file()]
    assert any(opened.credential.encode() in text for text in written)
    assert not any(TOKEN.encode() in text for text in written)


async def test_a_refusal_is_readable(tools: Inside, opened: OpenGrant, events: Events, github: StandIn) -> None:
    await login(tools, opened)
    seen = len(github.requests)
    rest = f"gh: Gitward: {ALLOWED} (HTTP 403)"
    graphql = "HTTP 403: Gitward: this session may only ask GraphQL for viewer{login} (https://api.github.com/graphql)"
    for count, (argv, message, rule) in enumerate(
        [
            (["api", "repos/octo/other"], rest, "rest.unlisted"),
            (["api", "-X", "POST", "user/keys"], rest, "rest.unlisted"),
            (["api", "-X", "DELETE", f"repos/{REPOSITORY}"], rest, "rest.unlisted"),
            (["pr", "list", "-R", REPOSITORY], graphql, "graphql.unlisted"),
        ],
        start=1,
    ):
        result = await tools.run("gh", *argv)
        assert (result.status, result.err.strip()) == (1, message)
        event = (await events.wait(count))[-1]
        assert (event.type, event.data["rule"]) == ("policy.denied", rule)
        assert " api.github.com/" in event.data["message"]
    assert len(github.requests) == seen


async def test_enterprise_server(github: StandIn, events: Events, tmp_path: Path) -> None:
    """One host for git and both APIs, below /api."""
    config = BrokerConfig(
        server_url="https://ghe.example",
        api_url="https://ghe.example/api/v3",
        upstream_url=github.url,
        upstream_api_url=github.api_url,
    )
    broker = Broker(config)
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
