"""The token is taken for each run, told about without being told, and masked for as long as a run may use it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from gitward.errors import Reason, RunFailure
from gitward.github.tokens import MISSING, Access, OperatorToken
from gitward.secrets import Secret
from gitward.settings.token_reader import TokenReader
from gitward.telemetry.logs import _filter as log_filter

TOKEN = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
WANTED = Access(repository="acme/widgets")


def masked(text: str) -> str:
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, text, None, None)
    log_filter.filter(record)
    return record.getMessage()


async def test_taking_the_token_is_told_in_the_words_of_the_contract(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    with caplog.at_level(logging.INFO):
        token = await OperatorToken(TokenReader(file)).take(WANTED, level=logging.INFO)
    assert (token.secret, token.renewable) == (Secret(TOKEN), True)
    assert caplog.messages == [
        "Reading GitHub token from environment variable",
        "Successfully read GitHub token from GITHUB_TOKEN_FILE (a classic token)",
    ]


async def test_without_a_token_the_run_fails_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("")
    with pytest.raises(RunFailure) as raised:
        await OperatorToken(TokenReader(tmp_path / "token")).take(WANTED)
    assert (raised.value.reason, raised.value.message) == (Reason.TOKEN_MISSING, MISSING)
    assert MISSING == "GITHUB_TOKEN environment variable not set"


async def test_what_cannot_be_read_is_told_by_its_setting(tmp_path: Path) -> None:
    with pytest.raises(RunFailure) as raised:
        await OperatorToken(TokenReader(tmp_path)).take(WANTED)
    assert raised.value.reason is Reason.TOKEN_MISSING
    assert raised.value.message == "GITHUB_TOKEN_FILE cannot be read (IsADirectoryError); fix it."


async def test_a_rotated_token_stays_masked(tmp_path: Path) -> None:
    """A run that began before the rotation still uses it."""
    file = tmp_path / "token"
    source = OperatorToken(TokenReader(file))
    for value in ("the-first-token", "the-second-token", "the-second-token"):
        file.write_text(value)
        await source.take(WANTED)
    assert masked("the-first-token the-second-token the-third-token") == "*** *** the-third-token"
