"""What a run's work is called does not depend on the file system on which its checkout lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitward.repositories import foreign_folder
from gitward.repositories.commits import _distinct, _tips
from gitward.repositories.git_folder import GitFolder, Worktree

COMMIT, TAG = "c" * 40, "a" * 40


def test_names_come_in_their_own_order(tmp_path: Path) -> None:
    names = [f"{number * 37 % 101:03}" for number in range(101)]
    for name in names:
        (tmp_path / "work" / name).mkdir(parents=True)
    with foreign_folder.opened(tmp_path / "work") as work:
        assert work.names("") == [(name, True) for name in sorted(names)]


BRANCH_AND_TAG = {"refs/tags/v1": TAG, "refs/heads/fix": COMMIT}


@pytest.mark.parametrize(
    ("refs", "worktrees"),
    [
        (BRANCH_AND_TAG, ()),
        ({**BRANCH_AND_TAG, "refs/tags/light": COMMIT}, ()),
        ({**BRANCH_AND_TAG, "refs/notes/commits": COMMIT}, ()),
        (BRANCH_AND_TAG, (Worktree(name="wt", head=COMMIT, path=None),)),
    ],
)
def test_work_on_a_branch_is_the_branch_s_whatever_else_stands_there(
    refs: dict[str, str], worktrees: tuple[Worktree, ...]
) -> None:
    folder = GitFolder(head=None, head_ref=None, refs=refs, worktrees=worktrees)
    tips = _distinct(_tips(folder), {TAG: COMMIT, COMMIT: COMMIT})
    assert [(tip.kind, tip.name) for tip in tips] == [("branch", "branch fix"), ("ref", "tag v1")]
