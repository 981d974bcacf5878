"""What is kept of GitHub's answers about a token, and what is not known."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gitward.github.client import GitHub
from gitward.github.token_health import MOST_TOKENS, TokenHealth, TokenReport
from gitward.github.tokens import Token as HeldToken
from gitward.secrets import Secret
from gitward_standin import StandIn, Token

CLASSIC = "a classic token"


def told(health: TokenHealth, **headers: str) -> TokenReport:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    health.note("token 1", CLASSIC, 200, named, "", ends_at=None)
    return health.snapshot()[0]


def test_of_a_token_that_nobody_used_nothing_is_known() -> None:
    assert TokenHealth().snapshot() == ()


def test_the_end_and_the_scopes_are_those_that_github_names() -> None:
    report = told(
        TokenHealth(),
        github_authentication_token_expiration="2031-01-02 03:04:05 UTC",
        x_oauth_scopes="repo, user:email",
    )
    assert report.ends_at == datetime(2031, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert report.scopes == ("repo", "user:email")
    assert not report.is_over
    assert not report.ends_soon


def test_what_github_does_not_name_is_none() -> None:
    report = told(TokenHealth())
    assert (report.ends_at, report.scopes, report.refusal) == (None, None, None)
    assert told(TokenHealth(), x_oauth_scopes="").scopes == ()


def test_a_token_that_ends_is_told_in_time() -> None:
    soon = datetime.now(UTC) + timedelta(days=6)
    assert told(TokenHealth(), github_authentication_token_expiration=f"{soon:%Y-%m-%d %H:%M:%S} UTC").ends_soon
    over = told(TokenHealth(), github_authentication_token_expiration="2020-01-01 00:00:00 UTC")
    assert over.is_over


@pytest.mark.parametrize("status", [301, 401, 403, 404, 429, 502])
def test_only_an_answer_that_is_well_says_by_its_silence_that_there_is_no_end(status: int) -> None:
    health = TokenHealth()
    told(health, github_authentication_token_expiration="2031-01-02 03:04:05 UTC")
    health.note("token 1", CLASSIC, status, {}, "", ends_at=None)
    assert health.snapshot()[0].ends_at == datetime(2031, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert told(health).ends_at is None


def test_of_a_token_that_was_only_refused_no_end_is_known() -> None:
    health = TokenHealth()
    health.note("token 1", CLASSIC, 502, {}, "", ends_at=None)
    health.note("token 1", CLASSIC, 401, {}, "Bad credentials", ends_at=None)
    assert not health.snapshot()[0].is_end_told
    assert told(health).is_end_told


async def test_gits_own_door_tells_only_refusals(tmp_path: Path) -> None:
    """It has no header about the end, of whatever token."""
    standin = StandIn(tmp_path)
    standin.add_user("octocat")
    await standin.start()
    github = GitHub(api_url=standin.api_url, server_url=standin.url)
    try:
        token = HeldToken(secret=Secret("ghp_" + "a" * 36), kind=CLASSIC, holder="token 1", renewable=False)
        connection = github.connect(token)
        ends = {"github-authentication-token-expiration": "2031-01-02 03:04:05 UTC"}
        standin.fault(path="*/user", status=200, body=b"{}", headers=ends)
        await connection.get("/user")
        standin.fault(path="*/info/refs*", status=200, body=b"")
        assert (await connection.may_push("acme/demo"))[0] == 200
        assert github.tokens.snapshot()[0].ends_at == datetime(2031, 1, 2, 3, 4, 5, tzinfo=UTC)
        standin.fault(path="*/info/refs*", status=403, body=b"Write access not granted.")
        await connection.may_push("acme/demo")
        refused = github.tokens.snapshot()[0]
        assert refused.ends_at is not None
        assert refused.refusal is not None
        assert refused.refusal.words == "Write access not granted."
    finally:
        await github.stop()
        await standin.stop()


def test_an_apps_token_ends_when_it_was_made_to() -> None:
    health = TokenHealth()
    health.note("installation 4", "a GitHub App's installation token", 200, {}, "", ends_at=time.monotonic() + 3600)
    report = health.snapshot()[0]
    assert report.ends_at is not None
    assert timedelta(minutes=59) < report.ends_at - datetime.now(UTC) <= timedelta(hours=1)


def test_the_last_refusal_stays_when_later_answers_are_well() -> None:
    health = TokenHealth()
    told(health, x_oauth_scopes="repo")
    health.note("token 1", CLASSIC, 401, {}, "Bad credentials" + "x" * 1000, ends_at=None)
    refused = health.snapshot()[0]
    assert refused.scopes == ("repo",)
    told(health)
    kept = health.snapshot()[0].refusal
    assert kept is not None
    assert (kept.status, kept.words[:15], len(kept.words)) == (401, "Bad credentials", 200)


async def test_each_answer_of_github_is_noted(tmp_path: Path) -> None:
    standin = StandIn(tmp_path / "github")
    standin.add_user("octocat")
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    standin.add_token("ghp_x", Token(login="octocat", scopes=("repo", "workflow"), expires_at=ends))
    await standin.start()
    github = GitHub(api_url=standin.api_url, server_url=standin.url)
    try:
        held = HeldToken(secret=Secret("ghp_x"), kind=CLASSIC, holder="token 1", renewable=False)
        await github.connect(held).get("/user")
        (report,) = github.tokens.snapshot()
        assert (report.ends_at, report.scopes, report.refusal) == (ends, ("repo", "workflow"), None)
        standin.revoke_token("ghp_x")
        await github.connect(held).exchange("GET", "/user")
        (report,) = github.tokens.snapshot()
        assert report.refusal is not None
        assert (report.refusal.status, report.refusal.words) == (401, "Bad credentials")
        assert (report.ends_at, report.scopes) == (ends, ("repo", "workflow"))
    finally:
        await github.stop()
        await standin.stop()


def test_the_tokens_that_were_used_last_are_kept() -> None:
    health = TokenHealth()
    for number in range(MOST_TOKENS + 5):
        health.note(f"token {number}", CLASSIC, 200, {}, "", ends_at=None)
    assert [each.holder for each in health.snapshot()] == [
        f"token {number}" for number in range(MOST_TOKENS + 4, 4, -1)
    ]
