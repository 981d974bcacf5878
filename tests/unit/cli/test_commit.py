"""Which commit a program was made from: git's word in a checkout, and no other repository's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gitward.commit import UNKNOWN, of_checkout

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@example.com")


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run((*GIT, *arguments), cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    git(tmp_path, "init", "-q", str(folder))
    (folder / "file").write_text("first\n")
    git(folder, "add", "file")
    git(folder, "commit", "-qm", "first")
    return folder


def test_a_checkout_is_told_by_git(checkout: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    assert of_checkout(checkout) == head
    git(checkout, "tag", "-a", "-m", "x", "v1")  # a tag's name is no commit
    assert of_checkout(checkout) == head
    (checkout / "file").write_text("changed\n")
    assert of_checkout(checkout) == f"{head}-dirty"


def test_a_work_tree_beside_the_clone_is_a_checkout_too(checkout: Path, tmp_path: Path) -> None:
    git(checkout, "worktree", "add", "-q", "--detach", str(tmp_path / "second"))
    assert of_checkout(tmp_path / "second") == git(checkout, "rev-parse", "HEAD")


def test_another_repository_is_never_asked(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment may lie in a checkout of somebody else's, and a caller may have variables of git's."""
    inside = checkout / "venv" / "lib"
    inside.mkdir(parents=True)
    assert of_checkout(inside) == UNKNOWN
    other = tmp_path / "other"
    git(tmp_path, "clone", "-q", str(checkout), str(other))
    git(other, "commit", "-qm", "second", "--allow-empty")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert of_checkout(checkout) != git(other, "rev-parse", "HEAD")


def test_without_git_or_a_commit_it_is_unknown(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert of_checkout(tmp_path) == UNKNOWN
