"""The token is found where the operator put it: exported it is sealed once, in a file it is read at every call."""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path

import pytest

from gitward.secrets import Secret
from gitward.settings.token_reader import TokenOrigin, TokenReader, TokenUnreadable

Environment = MutableMapping[str, str]
TOKEN, NEXT = "ghp_0123456789abcdefghij", "ghp_jihgfedcba9876543210"


def test_an_exported_token_is_sealed_at_the_start_and_leaves_the_environment(environment: Environment) -> None:
    """No child inherits it, and exporting another one later changes nothing."""
    environment["GITHUB_TOKEN"] = TOKEN
    reader = TokenReader(None)
    assert "GITHUB_TOKEN" not in environment
    environment["GITHUB_TOKEN"] = NEXT
    assert reader.read() == (Secret(TOKEN), TokenOrigin.ENVIRONMENT)


def test_an_exported_token_comes_first(environment: Environment, folder: Path) -> None:
    environment["GITHUB_TOKEN"] = TOKEN
    (folder / ".env").write_text(f"GITHUB_TOKEN={NEXT}\n")
    (folder / "token").write_text(NEXT)
    assert TokenReader(folder / "token").read() == (Secret(TOKEN), TokenOrigin.ENVIRONMENT)


def test_a_token_in_a_file_is_read_again_at_every_call(environment: Environment, folder: Path) -> None:
    """So it can be rotated without a restart. White space around it is nobody's secret."""
    file = folder / "token"
    file.write_text(f"  {TOKEN}\r\n")
    reader = TokenReader(file)
    assert reader.read() == (Secret(TOKEN), TokenOrigin.FILE)
    file.write_text(NEXT)
    assert reader.read() == (Secret(NEXT), TokenOrigin.FILE)
    file.write_text("\n")
    assert reader.read() is None


def test_a_token_in_dotenv_is_read_again_at_every_call(environment: Environment, folder: Path) -> None:
    reader = TokenReader(None)
    assert reader.read() is None
    (folder / ".env").write_text(f"GITHUB_TOKEN='{TOKEN}'\n")
    assert reader.read() == (Secret(TOKEN), TokenOrigin.DOTENV)
    (folder / ".env").write_text(f"export GITHUB_TOKEN={NEXT}\n")
    assert reader.read() == (Secret(NEXT), TokenOrigin.DOTENV)


def test_an_empty_export_is_none(environment: Environment) -> None:
    environment["GITHUB_TOKEN"] = " "
    assert TokenReader(None).read() is None


@pytest.mark.parametrize("value", ["ghp_two words", "ghp_two\nlines", "ghp_schlüssel", "ghp_\x1b[0m", "ghp_\udcff"])
def test_what_cannot_be_a_token_is_refused_and_not_quoted(environment: Environment, value: str) -> None:
    """It would break the header that it is put into, or the masking of output."""
    environment["GITHUB_TOKEN"] = value
    with pytest.raises(TokenUnreadable, match="GITHUB_TOKEN holds characters that no token has") as raised:
        TokenReader(None).read()
    assert "ghp_" not in str(raised.value)


@pytest.mark.parametrize("content", [b"ghp_\xff", b"ghp_x y", b"ghp_a\nghp_b"])
def test_a_file_without_a_token_is_told_by_its_setting(environment: Environment, folder: Path, content: bytes) -> None:
    (folder / "token").write_bytes(content)
    with pytest.raises(TokenUnreadable, match="GITHUB_TOKEN_FILE"):
        TokenReader(folder / "token").read()


def test_a_file_that_is_not_there_is_told(environment: Environment, folder: Path) -> None:
    with pytest.raises(TokenUnreadable, match=r"GITHUB_TOKEN_FILE cannot be read \(FileNotFoundError\)"):
        TokenReader(folder / "token").read()


def test_a_dotenv_that_is_no_text_is_told(environment: Environment, folder: Path) -> None:
    (folder / ".env").write_bytes(b"GITHUB_TOKEN=\xff\n")
    with pytest.raises(TokenUnreadable, match=r"^\.env cannot be read"):
        TokenReader(None).read()
