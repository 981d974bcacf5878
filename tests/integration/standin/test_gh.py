"""Bare gh and git, over TLS and GitHub's own names, take the stand-in for GitHub."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gitward_standin import StandIn, Token, TokenKind

Inside = Any  # the fixture's class lives in conftest.py
GitHub = tuple[StandIn, Inside]
TOKEN = "ghp_octocat0000000000000000000000000000"


async def login(inside: Inside, token: str = TOKEN, expect: int = 0) -> Any:
    return await inside("gh", "auth", "login", "--with-token", stdin=f"{token}\n", expect=expect)


class TestLogin:
    async def test_login_status_and_setup_git(self, github: GitHub) -> None:
        standin, inside = github
        await login(inside)
        status = await inside("gh", "auth", "status")
        assert "Logged in to github.com as octocat" in status.err
        await inside("gh", "auth", "setup-git")
        asked = {(request.method, request.host, request.path) for request in standin.requests}
        assert asked == {("GET", "api.github.com", "/"), ("POST", "api.github.com", "/graphql")}

    @pytest.mark.parametrize(("scopes", "code"), [(("repo", "user:email"), 1), (("repo", "read:org"), 0)])
    async def test_a_classic_token_needs_the_scopes_that_gh_wants(
        self, github: GitHub, scopes: tuple[str, ...], code: int
    ) -> None:
        standin, inside = github
        standin.add_token(TOKEN, Token(login="octocat", scopes=scopes))
        result = await login(inside, expect=code)
        if code:
            assert "missing required scope" in result.err

    async def test_an_app_token_passes(self, github: GitHub) -> None:
        standin, inside = github
        standin.add_token("ghs_app", Token(login=None, kind=TokenKind.APP))
        await login(inside, "ghs_app")
        assert "as standin-app[bot]" in (await inside("gh", "auth", "status")).err

    async def test_a_wrong_token_is_refused(self, github: GitHub) -> None:
        _, inside = github
        result = await login(inside, "ghp_wrong", expect=1)
        assert "HTTP 401: Bad credentials" in result.err


class TestWork:
    async def test_clone_push_and_pull_request(self, github: GitHub) -> None:
        standin, inside = github
        await login(inside)
        await inside("gh", "auth", "setup-git")
        await inside("git", "clone", "--quiet", "https://github.com/octo-org/demo", "work")
        work = inside.home / "work"
        (work / "new").write_text("new")
        await inside("git", "add", "new", cwd=work)
        await inside("git", "commit", "--quiet", "-m", "New", cwd=work)
        await inside("git", "push", "--quiet", "origin", "HEAD:topic", cwd=work)
        head = (await inside("git", "rev-parse", "HEAD", cwd=work)).out.strip()
        assert await standin.repository("octo-org/demo").head("topic") == head
        created = await inside(
            "gh", "api", "repos/{owner}/{repo}/pulls", "-f", "title=New", "-f", "head=topic", "-f", "base=main",
            "-F", "draft=true", cwd=work,
        )  # fmt: skip
        assert json.loads(created.out)["html_url"] == "https://github.com/octo-org/demo/pull/1"
        again = await inside("gh", "pr", "create", "--fill", "--head", "main", cwd=work, expect=1)
        assert "No commits between main and main" in again.err
        standin.rename_repository("octo-org/demo", "octo-org/renamed")
        followed = await inside("gh", "api", "repos/octo-org/demo", "--jq", ".full_name")
        assert followed.out == "octo-org/renamed\n"
        refused = await inside("gh", "api", "repos/octo-org/none", expect=1)
        assert "gh: Not Found (HTTP 404)" in refused.err
