"""`.env` is for secrets, and read only where nobody else can write it: whoever can would say where tokens go."""

from __future__ import annotations

import logging
import os
from collections.abc import MutableMapping
from pathlib import Path

import pytest

from gitward.errors import SettingsError
from gitward.secrets import Secret
from gitward.settings import env_file
from gitward.settings.fields import Settings
from gitward.settings.loading import load_settings
from gitward.settings.secret_reader import SecretReader, SecretUnreadable
from gitward.settings.token_reader import TokenOrigin, TokenReader, TokenUnreadable

Environment = MutableMapping[str, str]
TOKEN = "ghp_0123456789abcdefghij"
SETTINGS = sorted(str(field.alias) for field in Settings.model_fields.values())


def refusals() -> tuple[str, ...]:
    with pytest.raises(SettingsError) as raised:
        load_settings()
    return raised.value.problems


@pytest.mark.parametrize("name", [*SETTINGS, "GITWARD_TOKEN", "DATABASE_URL", "PATH", "GH_TOKEN", "https_proxy"])
def test_anything_but_a_secret_stops_the_start(environment: Environment, folder: Path, name: str) -> None:
    """Also what would be a good setting: upstream, egress and mode above all."""
    (folder / ".env").write_text(f"GITHUB_TOKEN={TOKEN}\n{name}=secret-value\n")
    (sentence,) = refusals()
    assert sentence.startswith(
        f".env: {name} is not allowed in this file, export it: the file is for GITHUB_TOKEN, ANTHROPIC_"
    )
    assert "secret-value" not in sentence


def test_each_wrong_name_is_told_and_a_long_list_is_cut(environment: Environment, folder: Path) -> None:
    (folder / ".env").write_text("".join(f"NAME_{number}=x\n" for number in range(100)))
    assert len(refusals()) == 20


def test_the_secrets_are_let_in_and_named_in_the_log(
    environment: Environment, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Never their values, and not those that are exported too."""
    (folder / ".env").write_text("".join(f"{name}={TOKEN}\n" for name in env_file.SECRETS))
    environment["OPENAI_API_KEY"] = "exported-key"
    with caplog.at_level(logging.INFO, logger="gitward.settings"):
        load_settings()
    names = ", ".join(name for name in env_file.SECRETS if name != "OPENAI_API_KEY")
    assert caplog.messages == [f"Read from .env in {folder}: {names}"]
    assert TokenReader(None).read() == (Secret(TOKEN), TokenOrigin.DOTENV)


def test_variables_that_the_exported_setting_names_are_let_in(environment: Environment, folder: Path) -> None:
    (folder / ".env").write_text("MODEL_KEY=sk-0123456789\nOTHER_KEY=sk-0123456789\n")
    environment["GITWARD_INJECT"] = (
        "api.example.com = x-api-key: MODEL_KEY; b.example = authorization: Bearer OTHER_KEY"
    )
    load_settings()
    assert SecretReader(["MODEL_KEY"]).read("MODEL_KEY") == Secret("sk-0123456789")
    environment["GITWARD_INJECT"] = "api.example.com = x-api-key: MODEL_KEY"
    assert [sentence.split()[1] for sentence in refusals()] == ["OTHER_KEY"]


def test_the_file_cannot_name_its_own_variables(environment: Environment, folder: Path) -> None:
    (folder / ".env").write_text("GITWARD_INJECT=evil.example = x: PATH_TO\nPATH_TO=sk-0123456789\n")
    assert [sentence.split()[1] for sentence in refusals()] == ["GITWARD_INJECT", "PATH_TO"]
    environment["GITWARD_INJECT"] = "evil.example = x: GITWARD_EGRESS"
    (folder / ".env").write_text("GITWARD_EGRESS=*\n")
    assert [sentence.split()[1] for sentence in refusals()] == ["GITWARD_EGRESS"]


def untrusted(sentence: str) -> None:
    """Whoever reads the file says so: the start, and each run."""
    assert refusals() == (f".env: {sentence}",)
    with pytest.raises(TokenUnreadable) as token:
        TokenReader(None).read()
    assert str(token.value) == f".env {sentence}."
    with pytest.raises(SecretUnreadable) as secret:
        SecretReader([]).read("MODEL_KEY")
    assert str(secret.value) == f"cannot be read: .env {sentence}"


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_not_read(environment: Environment, folder: Path, mode: int) -> None:
    (folder / ".env").write_text(f"GITHUB_TOKEN={TOKEN}\n")
    (folder / ".env").chmod(mode)
    untrusted("may be written by others, so it is not read; run: chmod go-w .env")


@pytest.mark.parametrize("mode", [0o770, 0o703, 0o1777])
def test_a_file_in_a_folder_that_others_may_write_is_not_read(
    environment: Environment, folder: Path, mode: int
) -> None:
    """Somebody could put another in its place."""
    (folder / ".env").write_text(f"GITHUB_TOKEN={TOKEN}\n")
    folder.chmod(mode)
    untrusted(
        "lies in a folder that others may write, so it is not read; start in a folder of your own, or run: chmod go-w ."
    )
    folder.chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_belongs_to_another_user_is_not_read(environment: Environment, folder: Path, what: str) -> None:
    (folder / ".env").write_text(f"GITHUB_TOKEN={TOKEN}\n")
    os.chown(folder / ".env" if what == "file" else folder, 12345, 12345)
    if what == "file":
        untrusted("belongs to another user than the service's, so it is not read; remove it, or make it your own")
    else:
        assert "lies in a folder that others may write" in refusals()[0]


def test_what_is_no_file_holds_nobody(environment: Environment, folder: Path) -> None:
    os.mkfifo(folder / ".env")
    untrusted("is not a file; remove it")
    (folder / ".env").unlink()
    (folder / ".env").mkdir()
    untrusted("is not a file; remove it")


def test_a_long_file_is_not_read(environment: Environment, folder: Path) -> None:
    (folder / ".env").write_text("#" * (env_file.MOST_BYTES + 1))
    untrusted("is longer than 65536 bytes; it is for secrets alone")


def test_without_a_file_any_folder_will_do(environment: Environment, folder: Path) -> None:
    folder.chmod(0o777)
    load_settings()
    folder.chmod(0o700)
