"""Secrets that settings only name: exported they are sealed once, in a file or `.env` they are read at every call."""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path

import pytest

from gitward.secrets import Secret
from gitward.settings.secret_reader import SecretReader, SecretUnreadable

Environment = MutableMapping[str, str]
KEY, NEXT = "sk-0123456789", "sk-9876543210"


def test_an_exported_secret_is_sealed_and_leaves_the_environment(environment: Environment) -> None:
    environment["MODEL_KEY"] = KEY
    reader = SecretReader(["MODEL_KEY"])
    assert "MODEL_KEY" not in environment
    environment["MODEL_KEY"] = NEXT
    assert reader.read("MODEL_KEY") == Secret(KEY)


def test_a_secret_in_dotenv_or_a_file_can_be_rotated(environment: Environment, folder: Path) -> None:
    reader = SecretReader(["MODEL_KEY"])
    source = f"file:{folder / 'key'}"
    for value in (KEY, NEXT):
        (folder / ".env").write_text(f"MODEL_KEY={value}\n")
        (folder / "key").write_text(f"{value}\n")
        assert reader.read("MODEL_KEY") == reader.read(source) == Secret(value)


@pytest.mark.parametrize("value", ["", "short", "sk-01234567 89", "sk-0123456\n789", "sk-schlüssel-0123"])
def test_what_cannot_be_sent_or_masked_is_refused_and_not_quoted(
    environment: Environment, folder: Path, value: str
) -> None:
    environment["MODEL_KEY"] = value
    (folder / "key").write_text(value)
    reader = SecretReader(["MODEL_KEY"])
    for source in ("MODEL_KEY", f"file:{folder / 'key'}"):
        with pytest.raises(SecretUnreadable, match="is not set, has less than 8 characters, or some that") as raised:
            reader.read(source)
        assert not value or value not in str(raised.value)


def test_a_file_that_is_not_there_is_told(environment: Environment, folder: Path) -> None:
    with pytest.raises(SecretUnreadable, match=r"cannot be read \(FileNotFoundError\)"):
        SecretReader([]).read(f"file:{folder / 'none'}")
