"""The job's own client in front of the stand-in GitHub."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from connections import HASTY, given
from gitward.github.client import Connection, GitHub
from gitward.github.retries import Retries
from gitward.secrets import Secret, masked_forms
from gitward_standin import Repository, StandIn, Token

TOKEN = "ghp_octocat0000000000000000000000000000"
REPOSITORY = "octo-org/demo"

Connect = Callable[[Token], Connection]


@pytest.fixture
async def standin(tmp_path: Path) -> AsyncIterator[StandIn]:
    standin = StandIn(tmp_path / "github")
    standin.add_user("octocat", id=583231, name="Mona Lisa", email="mona@example.org")
    await standin.add_repository(REPOSITORY, permissions={"octocat": "push"})
    await standin.start()
    yield standin
    await standin.stop()


@pytest.fixture
def repository(standin: StandIn) -> Repository:
    return standin.repository(REPOSITORY)


@pytest.fixture
async def github(standin: StandIn) -> AsyncIterator[GitHub]:
    github = GitHub(api_url=standin.api_url, server_url=standin.url)
    yield github
    await github.stop()


@pytest.fixture
def connect(standin: StandIn, github: GitHub) -> Connect:
    """A connection with a token that may do what the test says."""

    def connect(token: Token) -> Connection:
        standin.add_token(TOKEN, token)
        return github.connect(given(TOKEN), Retries(HASTY))

    return connect


@pytest.fixture
def connection(connect: Connect) -> Connection:
    return connect(Token(login="octocat"))


@pytest.fixture(autouse=True)
def log_without_the_token(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever is logged at whatever level, the token is not in it."""
    caplog.set_level(logging.DEBUG)
    yield
    shown = "\n".join(record.getMessage() for record in caplog.get_records("call")).encode()
    assert not [form for form in masked_forms(Secret(TOKEN)) if form in shown]
