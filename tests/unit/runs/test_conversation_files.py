"""What an agent left is read with care: it may be anything."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gitward.agents import archive
from gitward.agents.archive import KeptFile, WrongArchive
from gitward.runs.agents.conversation_files import hold_secret, read
from gitward.secrets import Secret
from gitward.telemetry.redaction import Redactor

GLOBS = ("talks/**/*.jsonl", "agent.db*")
SECRET = "sk-" + "q7Zp0" * 12


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "work/agent/small"
    (home / "talks/deep").mkdir(parents=True)
    return home


def paths(workspace: Path) -> list[str]:
    return [each.path for each in read(workspace, "small", GLOBS)]


def test_only_named_regular_files_are_read(home: Path, tmp_path: Path) -> None:
    (home / "talks/a.jsonl").write_text("a")
    (home / "talks/deep/b.jsonl").write_text("b")
    (home / "settings.json").write_text("evil")
    (home / "talks/hook.sh").write_text("evil")
    os.symlink("/etc/passwd", home / "talks/link.jsonl")
    os.symlink("/etc", home / "talks/etc")
    os.mkfifo(home / "talks/pipe.jsonl")
    assert paths(tmp_path) == ["talks/a.jsonl", "talks/deep/b.jsonl"]


def test_a_folder_that_is_a_link_is_nobodys(home: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.jsonl").write_text("not its own")
    os.rename(home, tmp_path / "aside")
    os.symlink(outside, home)
    with pytest.raises(NotADirectoryError):
        read(tmp_path, "small", ("*.jsonl",))
    assert read(tmp_path, "other", GLOBS) == ()


def test_sizes_and_numbers_are_bounded(home: Path, tmp_path: Path) -> None:
    with (home / "talks/long.jsonl").open("wb") as file:
        file.truncate(archive.MOST_BYTES + 1)
    with pytest.raises(WrongArchive):
        read(tmp_path, "small", GLOBS)
    (home / "talks/long.jsonl").unlink()
    for number in range(archive.MOST_FILES + 1):
        (home / f"talks/{number}.jsonl").touch()
    with pytest.raises(WrongArchive):
        read(tmp_path, "small", GLOBS)


def test_a_folder_of_caches_is_not_looked_at(home: Path, tmp_path: Path) -> None:
    caches = home / "cache"
    caches.mkdir()
    for number in range(6_000):
        (caches / f"{number}.x").touch()
    (home / "talks/a.jsonl").write_text("a")
    assert [each.path for each in read(tmp_path, "small", ("talks/**/*.jsonl",))] == ["talks/a.jsonl"]


def test_a_secret_is_found_wherever_it_lies() -> None:
    redactor = Redactor([Secret(SECRET)])
    filler = b"x" * (256 * 1024 - 20)
    token = b"ghp_" + b"A1b2" * 9
    for content in (SECRET.encode(), filler + SECRET.encode() + filler, token, filler + token):
        assert hold_secret([KeptFile(path="a", content=content)], redactor)
    assert hold_secret([KeptFile(path=SECRET, content=b"")], redactor)
    assert not hold_secret([KeptFile(path="a", content=filler + SECRET[:20].encode())], redactor)


def test_a_secret_that_a_database_parts_is_found(tmp_path: Path) -> None:
    """SQLite breaks a long row at its pages, so no search for the whole finds it."""
    redactor = Redactor([Secret(SECRET)])
    parted = 0
    for before in range(0, 4_200, 20):
        place = tmp_path / f"{before}.db"
        with closing(sqlite3.connect(place)) as database, database:
            database.execute("PRAGMA journal_mode = MEMORY")
            database.execute("CREATE TABLE parts (text)")
            database.execute("INSERT INTO parts VALUES (?)", ("x" * before + SECRET + "y" * (9_000 - before),))
        content = place.read_bytes()
        parted += SECRET.encode() not in content
        assert hold_secret([KeptFile(path="agent.db", content=content)], redactor)
        if parted:
            break
    assert parted
