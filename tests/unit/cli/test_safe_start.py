"""An unsafe place is refused before anything starts, and the sentence says what to do."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gitward.cli import programs
from gitward.cli.data_folder import user_name
from gitward.cli.doctor.data import look_at_secret_files
from gitward.cli.safe_start import prepare_start
from gitward.errors import SettingsError
from gitward.settings.fields import Settings


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that others may get to; the umask comes back."""
    before = os.umask(0o022)
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o711)
        yield Path(made)
    os.umask(before)


def settings(folder: Path, **more: Any) -> Settings:
    given: dict[str, Any] = {"GITWARD_DATA_DIR": folder / "data", **more}
    return Settings(**given)


def refusal(given: Settings) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        prepare_start(given, with_worker=True)
    return list(refused.value.problems)


def test_a_data_folder_of_somebody_else_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = settings(folder)
    prepare_start(given, with_worker=True)
    owner = user_name(os.geteuid())
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    [problem] = refusal(given)
    data = folder / "data"
    assert problem.startswith(f"GITWARD_DATA_DIR: {data} belongs to {owner}, and Gitward runs as user 12345; ")
    assert problem.endswith(f"start it as {owner}, or run: chown -R 12345 {data}")
    (data / "gitward.db").touch()
    [problem] = refusal(given)
    assert problem.endswith(f"start it as {owner}")  # whose service has its database there


def test_a_data_folder_that_everybody_may_replace_is_refused(folder: Path) -> None:
    (folder / "all").mkdir()
    (folder / "all").chmod(0o777)
    [problem] = refusal(settings(folder / "all"))
    assert f"every user of this machine may replace {folder / 'all' / 'data'}" in problem
    assert problem.endswith(f"run: chmod o-w {folder / 'all'}")
    (folder / "all").chmod(0o1777)  # as /tmp: only its owner may replace what lies there
    prepare_start(settings(folder / "all"), with_worker=True)


def test_a_link_is_no_way_around(folder: Path) -> None:
    """What it leads to may be replaced as well, and so may another link on the way."""
    (folder / "open" / "data").mkdir(parents=True)
    (folder / "open" / "data").chmod(0o711)
    (folder / "open").chmod(0o777)
    (folder / "safe").mkdir()
    (folder / "safe" / "data").symlink_to("../open/data")
    (folder / "data").symlink_to(folder / "safe" / "data")
    for place in (folder / "safe", folder):
        [problem] = refusal(settings(place))
        assert "because all may write" in problem
        assert problem.endswith("/open")
    (folder / "open").chmod(0o755)
    prepare_start(settings(folder), with_worker=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder away")
@pytest.mark.parametrize("entry", ["theirs", "link"])
def test_a_folder_or_a_link_of_another_user_is_refused(
    folder: Path, entry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "theirs" / "sub").mkdir(parents=True)
    (folder / "link").symlink_to(folder / "theirs" / "sub")
    os.lchown(folder / entry, 12345, -1)
    monkeypatch.setattr("gitward.cli.data_folder.is_container", lambda: False)
    [problem] = refusal(settings(folder / "link"))
    data = folder / "link" / "data"
    assert problem.startswith(f"GITWARD_DATA_DIR: user 12345 may replace {data}, because {folder / entry} belongs to ")
    monkeypatch.setattr("gitward.cli.data_folder.is_container", lambda: True)  # nobody else is there
    prepare_start(settings(folder / "link"), with_worker=True)


def token_file(folder: Path, mode: int) -> Path:
    file = folder / "token"
    file.write_text("ghp_" + "x" * 36)
    file.chmod(mode)
    return file


MODES = [(0o644, False, "read"), (0o604, False, "read"), (0o602, False, "change"), (0o602, True, "change")]


@pytest.mark.parametrize(("mode", "in_container", "word"), MODES)
def test_a_token_file_that_every_user_gets_at_is_refused(
    folder: Path, mode: int, in_container: bool, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitward.cli.open_files.is_container", lambda: in_container)
    file = token_file(folder, mode)
    given = settings(folder, GITHUB_TOKEN_FILE=file)
    [problem] = refusal(given)
    sentence = f"GITHUB_TOKEN_FILE: every user of this machine may {word} {file} (mode {mode:04o}); "
    assert problem.startswith(f"{sentence}run: chmod 600 {file}")
    file.chmod(0o600)
    prepare_start(given, with_worker=True)


@pytest.mark.parametrize("mode", [0o644, 0o444])
async def test_a_readable_token_file_in_a_container_is_a_warning(
    folder: Path, mode: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kubernetes and docker mount secrets so, and nobody else is there."""
    monkeypatch.setattr("gitward.cli.open_files.is_container", lambda: True)
    file = token_file(folder, mode)
    given = settings(folder, GITHUB_TOKEN_FILE=file)
    prepare_start(given, with_worker=True)
    sentence = f"GITHUB_TOKEN_FILE: every user of this machine may read {file} (mode {mode:04o})"
    [told] = caplog.messages
    assert told.startswith(f"{sentence}; run: chmod 600 {file}, or give the mount of a container's secret the mode")
    assert [(each.verdict, each.detail) async for each in look_at_secret_files(given)] == [("warn", sentence)]


def test_a_readable_token_file_on_a_read_only_mount_is_a_warning(folder: Path) -> None:
    """Nobody can change its mode there."""
    file = token_file(folder, 0o444)
    program = (
        "import sys; from gitward.cli import open_files; from gitward.settings.fields import Settings\n"
        "open_files.is_container = lambda: False\n"
        "[found] = open_files.exposed_secrets(Settings(GITHUB_TOKEN_FILE=sys.argv[1]))\n"
        "print(found.is_refused)"
    )
    for bound, expected in (("--bind", "True"), ("--ro-bind", "False")):
        argv = [
            "bwrap",
            "--dev-bind",
            "/",
            "/",
            bound,
            str(folder),
            str(folder),
            sys.executable,
            "-c",
            program,
            str(file),
        ]
        done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60)
        assert done.stdout.strip() == expected


def test_a_file_behind_a_closed_folder_is_nobodys(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    (closed / "token").write_text("ghp_" + "x" * 36)
    (folder / "link").symlink_to(closed / "token")
    prepare_start(settings(folder, GITHUB_TOKEN_FILE=folder / "link"), with_worker=True)


def test_what_a_container_engine_hands_in_is_taken(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Secrets that all may read, and a volume that all may write: nobody else is there."""
    (folder / "token").write_text("ghp_" + "x" * 36)
    (folder / "token").chmod(0o444)
    (folder / "volume").mkdir()
    (folder / "volume").chmod(0o777)
    monkeypatch.setattr("gitward.cli.open_files.HANDED_IN", folder)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setattr(Path, "is_mount", lambda path: path == folder / "volume")
    prepare_start(settings(folder / "volume", GITHUB_TOKEN_FILE=folder / "token"), with_worker=True)
    assert caplog.messages == []


def test_every_file_with_a_secret_is_looked_at_and_told_at_once(folder: Path) -> None:
    names = {
        "GITHUB_APP_PRIVATE_KEY_FILE": "app.pem",
        "GITWARD_OIDC_CLIENT_SECRET_FILE": "client",
        "GITWARD_WEBHOOKS_FILE": "webhooks",
        "ANTHROPIC_API_KEY_FILE": "anthropic",
        "OPENAI_API_KEY_FILE": "openai",
    }
    for name in (*names.values(), "model"):
        (folder / name).write_text("secret")
        (folder / name).chmod(0o646)
    inject = f"api.model.test = x-api-key: file:{folder / 'model'}"
    given = settings(folder, GITWARD_INJECT=inject, **{name: folder / file for name, file in names.items()})
    assert sorted(each.partition(":")[0] for each in refusal(given)) == sorted([*names, "GITWARD_INJECT"])


def test_a_database_that_others_may_read_is_refused(folder: Path) -> None:
    """As one is that was restored by a plain copy."""
    given = settings(folder)
    prepare_start(given, with_worker=True)
    database = folder / "data" / "gitward.db"
    database.touch()
    database.chmod(0o644)
    [problem] = refusal(given)
    assert problem.startswith(f"GITWARD_DATABASE_URL: others may use {database} (mode 0644)")
    assert problem.endswith(f"run: chmod 600 {database}")


def test_a_machine_without_gh_takes_no_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "SEARCH_PATH", (str(folder / "bin"),))
    assert refusal(settings(folder)) == [
        "git: not found; on Debian: apt-get install git",
        "gh: not found; on Debian: apt-get install gh",
    ]
    prepare_start(settings(folder), with_worker=False)  # an API needs neither


def test_programs_are_looked_for_where_a_sandbox_does(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In `bin` of a folder that has one."""
    monkeypatch.setattr(programs, "SEARCH_PATH", ())
    tools = folder / "tools" / "bin"
    tools.mkdir(parents=True)
    for name in ("git", "gh"):
        (tools / name).touch(mode=0o755)
    prepare_start(settings(folder, GITWARD_SANDBOX_PATHS=str(tools.parent)), with_worker=True)
