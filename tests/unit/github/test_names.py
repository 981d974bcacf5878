"""Whatever branch name we accept, git accepts; a repository name is in GitHub's alphabet."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gitward.github.names import (
    BRANCH_RULE,
    MAX_BRANCH_BYTES,
    REPOSITORY_RULE,
    is_branch,
    is_repository,
    same_repository,
)
from names_table import ILLEGAL_BRANCHES, ILLEGAL_REPOSITORIES, LEGAL_BRANCHES, LEGAL_REPOSITORIES

# What the rules are about, so that near misses are frequent.
awkward = st.sampled_from(
    [*" ~^:?*[\\@{}/.-", "..", "@{", "//", ".lock", "/.", "refs/", "HEAD", "\0", "\n", "\x7f", "\x80", "é", "🫨", "a"]
)
branches = st.lists(awkward | st.characters(), max_size=6).map("".join) | st.text(max_size=20)

STRICTER = [  # git takes them; we do not
    "@",  # git's short form of HEAD
    "refs/heads/main",  # pushed as refs/heads/refs/heads/main: nobody means that
    "a" * (MAX_BRANCH_BYTES + 1),
    "é" * 101,
    "0123456789abcdef0123456789abcdef01234567",  # GitHub refuses what reads like a commit
]


def git_accepts(name: str, folder: Path) -> bool:
    """What `git check-ref-format --branch` says."""
    try:
        argument = name.encode()
    except UnicodeEncodeError:
        return False
    if b"\0" in argument:
        return False  # cannot even be asked
    argv = [b"git", b"check-ref-format", b"--branch", argument]
    ended = subprocess.run(argv, capture_output=True, timeout=30, check=False, cwd=folder)
    assert ended.returncode in (0, 1, 128)
    return ended.returncode == 0 and ended.stdout == argument + b"\n"


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=branches)
@example(name="@{-1}")
@example(name="-")
@example(name="a/@")
@example(name="a./b")
@example(name="a.lock./b")
def test_what_we_accept_git_accepts_and_what_git_refuses_we_refuse(name: str, tmp_path: Path) -> None:
    assert is_branch(name) <= git_accepts(name, tmp_path)
    if git_accepts(name, tmp_path):
        assert is_branch(name) or name.startswith("refs/") or name in {"HEAD", "@"}


@pytest.mark.parametrize("name", LEGAL_BRANCHES)
def test_legal_branches_are_accepted(name: str, tmp_path: Path) -> None:
    assert is_branch(name)
    assert git_accepts(name, tmp_path)


@pytest.mark.parametrize("name", ILLEGAL_BRANCHES)
def test_illegal_branches_are_refused(name: str) -> None:
    assert not is_branch(name)


@pytest.mark.parametrize("name", STRICTER)
def test_where_we_are_stricter_than_git(name: str, tmp_path: Path) -> None:
    assert git_accepts(name, tmp_path)
    assert not is_branch(name)


def test_a_lone_surrogate_is_no_branch() -> None:
    assert not is_branch("a\ud800")


@pytest.mark.parametrize("name", [*LEGAL_REPOSITORIES, "octo-org/demo", "user_corp/.github", "1/2", "a" * 39 + "/x"])
def test_repositories_of_github_are_accepted(name: str) -> None:
    assert is_repository(name)


@pytest.mark.parametrize("name", [*ILLEGAL_REPOSITORIES, "o/r\0", "o/\u212a", "٣/x", "o/x.GIT", "o /x", "\ud800/x"])
def test_other_repositories_are_refused(name: str) -> None:
    assert not is_repository(name)


@given(name=st.text(max_size=30))
def test_a_repository_has_one_slash_and_ascii_only(name: str) -> None:
    if is_repository(name):
        assert name.isascii()
        assert name.count("/") == 1
        assert "%" not in name


def test_repositories_compare_without_case() -> None:
    assert same_repository("Acme/Widgets", "acme/widgets")
    assert not same_repository("acme/widgets", "acme/widget")


def test_the_rules_say_what_is_allowed() -> None:
    assert REPOSITORY_RULE.startswith("must be owner/name")
    assert str(MAX_BRANCH_BYTES) in BRANCH_RULE
