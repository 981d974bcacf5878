"""A GitHub App's tokens: for one session's repositories, with least permissions, renewed in time; or a clear reason."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from app_keys import app_key
from connections import HASTY
from gitward.errors import Reason, RunFailure
from gitward.github.apps import AppTokens, GitHubApp, KeyUnreadable
from gitward.github.client import GitHub
from gitward.github.retries import Retries
from gitward.github.tokens import Access, Identity
from gitward_standin import App, Installation, Repository, StandIn
from gitward_standin.apps import ALL

WANTED = Access(repository="octo-org/demo")
NEEDED = {name: level for name, level in ALL.items() if name in ("contents", "pull_requests", "metadata")}


@pytest.fixture
def app(standin: StandIn) -> App:
    return standin.add_app("widget-bot", public_key=app_key()[1])


@pytest.fixture
def installation(standin: StandIn, app: App) -> Installation:
    return standin.install_app(app, "octo-org")


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "app.pem"
    file.write_bytes(app_key()[0])
    return file


@pytest.fixture
def tokens(github: GitHub, app: App, key_file: Path) -> AppTokens:
    return AppTokens(GitHubApp(github, app_id=str(app.id), key_file=key_file), github)


async def failure(tokens: AppTokens, access: Access = WANTED) -> RunFailure:
    with pytest.raises(RunFailure) as raised:
        await tokens.take(access, retries=Retries(HASTY))
    return raised.value


def _fast_clock(seconds: float) -> float:
    return time.time() + seconds


class TestMinting:
    async def test_a_token_is_for_the_session_s_repository_alone(
        self, tokens: AppTokens, standin: StandIn, installation: Installation, repository: Repository
    ) -> None:
        await standin.add_repository("octo-org/other")
        token = await tokens.take(WANTED)
        [minted] = standin.site.apps.minted
        assert (minted.repositories, minted.permissions) == ((repository.full_name,), ALL)
        assert (token.kind, token.holder, token.notices) == (
            "a GitHub App's installation token",
            f"installation {installation.id}",
            (),
        )

    async def test_a_renamed_repository_is_followed_by_its_number(
        self, tokens: AppTokens, standin: StandIn, installation: Installation, repository: Repository
    ) -> None:
        """The token is for that one and for the submodules, whose names are as they were."""
        await standin.add_repository("octo-org/lib")
        location = f"https://api.github.com/repositories/{repository.id}/installation"
        standin.fault(path="*/repos/octo-org/old/installation", status=301, headers={"Location": location}, times=9)
        for submodules, reached in (((), ()), (("octo-org/lib",), ("octo-org/lib",))):
            await tokens.take(Access(repository="octo-org/old", submodules=submodules))
            minted = standin.site.apps.minted[-1]
            assert set(minted.repositories or ()) == {repository.full_name, *reached}

    async def test_it_acts_as_the_app_s_bot(
        self, tokens: AppTokens, standin: StandIn, installation: Installation
    ) -> None:
        bot = standin.site.accounts.get("widget-bot[bot]")
        email = f"{bot.id}+widget-bot[bot]@users.noreply.github.com"
        token = await tokens.take(WANTED)
        assert token.bot == Identity(login="widget-bot[bot]", name="widget-bot[bot]", email=email)

    async def test_no_more_is_asked_for_than_is_needed(self, tokens: AppTokens, standin: StandIn, app: App) -> None:
        standin.install_app(app, "octo-org", permissions={**ALL, "administration": "write", "workflows": "write"})
        await tokens.take(WANTED)
        await tokens.take(replace(WANTED, workflows=True))
        plain, with_workflows = standin.site.apps.minted
        assert plain.permissions == ALL
        assert with_workflows.permissions == {**ALL, "workflows": "write"}

    async def test_what_the_app_lacks_and_a_run_can_do_without_is_left_out(
        self, tokens: AppTokens, standin: StandIn, app: App
    ) -> None:
        standin.install_app(app, "octo-org", permissions={**NEEDED, "issues": "read"})
        await tokens.take(replace(WANTED, workflows=True))
        assert standin.site.apps.minted[0].permissions == {**NEEDED, "issues": "read"}

    async def test_a_client_id_names_the_app_too(
        self, github: GitHub, app: App, installation: Installation, key_file: Path
    ) -> None:
        tokens = AppTokens(GitHubApp(github, app_id=app.client_id, key_file=key_file), github)
        assert (await tokens.take(WANTED)).renewable

    async def test_submodules_of_the_same_installation_can_be_read(
        self, tokens: AppTokens, standin: StandIn, installation: Installation
    ) -> None:
        await standin.add_repository("octo-org/lib")
        await standin.add_repository("else/where")
        token = await tokens.take(replace(WANTED, submodules=("octo-org/Lib", "else/where", "octo-org/gone")))
        assert standin.site.apps.minted[0].repositories == ("octo-org/demo", "octo-org/lib")
        assert [notice.split("submodule ")[1].split(":")[0] for notice in token.notices] == [
            "else/where",
            "octo-org/gone",
        ]


class TestReuse:
    async def test_one_token_serves_many_runs_of_a_repository(
        self, tokens: AppTokens, standin: StandIn, installation: Installation
    ) -> None:
        same = [tokens.take(WANTED), tokens.take(WANTED), tokens.take(replace(WANTED, repository="Octo-Org/DEMO"))]
        first, second, third = await asyncio.gather(*same)
        assert first.secret == second.secret == third.secret
        assert len(standin.site.apps.minted) == 1

    async def test_a_successor_is_made_before_the_end(
        self, tokens: AppTokens, standin: StandIn, installation: Installation
    ) -> None:
        token = await tokens.take(WANTED)
        assert token.renew_at is not None
        assert 2900 < token.renew_at - time.monotonic() <= 3001  # ten minutes before the hour is over
        standin.site.apps.token_seconds = 8.0
        tokens.distrust(token)
        short = await tokens.take(WANTED)
        assert short.secret != token.secret
        assert short.renew_at is not None
        assert 4 < short.renew_at - time.monotonic() <= 6.75  # after three quarters of a short life

    async def test_one_whose_time_has_come_is_not_given_again(
        self, tokens: AppTokens, standin: StandIn, installation: Installation
    ) -> None:
        tokens.distrust(await tokens.take(WANTED))
        standin.site.apps.token_seconds = 0.0
        await tokens.take(WANTED)
        await tokens.take(WANTED)
        assert len(standin.site.apps.minted) == 3

    async def test_one_that_github_s_machines_do_not_know_yet_is_tried_again(
        self, tokens: AppTokens, standin: StandIn, installation: Installation, github: GitHub
    ) -> None:
        token = await tokens.take(WANTED)
        standin.fault(path="*/repos/octo-org/demo", status=401, times=2)
        assert (await github.connect(token, Retries(HASTY)).get("/repos/octo-org/demo")).status == 200

    async def test_one_that_is_older_is_refused_at_once(
        self, tokens: AppTokens, standin: StandIn, installation: Installation, github: GitHub
    ) -> None:
        token = replace(await tokens.take(WANTED), made_at=time.monotonic() - 60)
        standin.fault(path="*/repos/octo-org/demo", status=401)
        with pytest.raises(RunFailure, match="look at GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY_FILE"):
            await github.connect(token).get("/repos/octo-org/demo")


class TestReasons:
    async def test_not_installed(self, tokens: AppTokens) -> None:
        told = await failure(tokens)
        assert told.reason is Reason.REPOSITORY_NOT_FOUND
        assert "is not installed on octo-org/demo" in told.message
        assert "install it there, or check the name" in told.message

    async def test_installed_for_other_repositories(self, tokens: AppTokens, standin: StandIn, app: App) -> None:
        standin.install_app(app, "octo-org", repositories=["octo-org/other"])
        assert (await failure(tokens)).reason is Reason.REPOSITORY_NOT_FOUND

    async def test_suspended(self, tokens: AppTokens, installation: Installation) -> None:
        installation.suspended_at = installation.created_at
        told = await failure(tokens)
        assert told.reason is Reason.TOKEN_LACKS_PERMISSION
        assert "installation on octo-org is suspended; resume it" in told.message

    async def test_suspended_a_moment_ago(
        self, tokens: AppTokens, standin: StandIn, installation: Installation
    ) -> None:
        body = b'{"message": "This installation has been suspended"}'
        standin.fault(method="POST", path="*/access_tokens", status=403, body=body)
        assert "is suspended" in (await failure(tokens)).message

    async def test_lacking_a_permission(self, tokens: AppTokens, standin: StandIn, app: App) -> None:
        standin.install_app(app, "octo-org", permissions={"metadata": "read", "contents": "read"})
        told = await failure(tokens)
        assert told.reason is Reason.TOKEN_LACKS_PERMISSION
        assert told.message.endswith("octo-org lacks Contents: write and Pull requests: write; grant it.")

    async def test_another_app_s_key(self, tokens: AppTokens, installation: Installation, key_file: Path) -> None:
        key_file.write_bytes(app_key(2)[0])
        told = await failure(tokens)
        assert told.reason is Reason.TOKEN_REJECTED
        assert "A JSON web token could not be decoded" in told.message
        assert "look at GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY_FILE" in told.message

    async def test_an_app_that_is_not_there(self, github: GitHub, key_file: Path) -> None:
        tokens = AppTokens(GitHubApp(github, app_id="1", key_file=key_file), github)
        told = await failure(tokens)
        assert (told.reason, "Integration not found" in told.message) == (Reason.TOKEN_REJECTED, True)

    async def test_a_key_that_is_gone(self, tokens: AppTokens, installation: Installation, key_file: Path) -> None:
        key_file.unlink()
        told = await failure(tokens)
        assert told.reason is Reason.TOKEN_MISSING
        assert told.message == "GITHUB_APP_PRIVATE_KEY_FILE cannot be read (FileNotFoundError); fix it."

    async def test_what_github_refuses_is_told_in_its_words(
        self, tokens: AppTokens, standin: StandIn, installation: Installation
    ) -> None:
        body = b'{"message": "The permissions requested are not granted to this installation."}'
        standin.fault(method="POST", path="*/access_tokens", status=422, body=body)
        told = await failure(tokens)
        assert (told.reason, "(422 The permissions requested" in told.message) == (Reason.TOKEN_LACKS_PERMISSION, True)


class TestTheKey:
    async def test_it_is_read_for_each_token_so_that_it_can_be_rotated(
        self, tokens: AppTokens, standin: StandIn, installation: Installation, key_file: Path
    ) -> None:
        tokens.distrust(await tokens.take(WANTED))
        standin.site.apps.rotate(installation.app, app_key(2)[1])
        assert (await failure(tokens)).reason is Reason.TOKEN_REJECTED
        key_file.write_bytes(app_key(2)[0])
        assert (await tokens.take(WANTED)).renewable

    @pytest.mark.parametrize(
        ("content", "why"),
        [(b"", "no RSA private key in PEM"), (b"\xff", "cannot be read"), (app_key()[1], "no RSA private key")],
    )
    def test_what_is_no_key_is_told_and_not_quoted(
        self, github: GitHub, tmp_path: Path, content: bytes, why: str
    ) -> None:
        (tmp_path / "key").write_bytes(content)
        with pytest.raises(KeyUnreadable, match=why) as raised:
            GitHubApp(github, app_id="1", key_file=tmp_path / "key").read_key()
        assert "GITHUB_APP_PRIVATE_KEY_FILE" in str(raised.value)
        assert "BEGIN" not in str(raised.value)

    @pytest.mark.parametrize("fast", [3600.0, -3600.0])
    @pytest.mark.usefixtures("installation")
    async def test_a_clock_that_is_wrong_is_told_and_does_no_harm(
        self, github: GitHub, app: App, key_file: Path, caplog: pytest.LogCaptureFixture, fast: float
    ) -> None:
        clock = partial(_fast_clock, fast)
        tokens = AppTokens(GitHubApp(github, app_id=str(app.id), key_file=key_file, clock=clock), github)
        with caplog.at_level(logging.WARNING, "gitward.github.apps"):
            token = await tokens.take(WANTED)
        assert token.renew_at is not None
        assert 2900 < token.renew_at - time.monotonic() <= 3001
        assert len([message for message in caplog.messages if "clock differs from GitHub's by" in message]) == 1
