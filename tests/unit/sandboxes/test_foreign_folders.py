"""Walks of hostile folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitward.sandboxes import foreign_folders

ME = (os.getuid(), os.getgid())
IS_ROOT = os.geteuid() == 0


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with one of everything; its links lead to `outside`."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "a/b").mkdir(parents=True)
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (root / "file").write_bytes(bytes(10_000))
    (root / "a/b/-rf").write_text("")
    (root / "a/to-file").symlink_to(outside / "kept")
    (root / "a/to-folder").symlink_to(outside)
    (root / "a/to-nowhere").symlink_to("/no/such/file")
    os.mkfifo(root / "a/fifo")
    os.link(root / "file", root / "a/hard")
    os.mkdir(os.fsencode(root) + b"/a/\xff\n")
    return root


def test_a_walk_sees_everything_once_and_folders_after_their_content(tree: Path) -> None:
    names = [os.fsencode(entry.name) for entry in foreign_folders.walk(tree)]
    assert sorted(names) == sorted(
        [b"a", b"b", b"-rf", b"file", b"to-file", b"to-folder", b"to-nowhere", b"fifo", b"hard", b"\xff\n"]
    )
    assert names.index(b"-rf") < names.index(b"b") < names.index(b"a")


def test_clearing_removes_links_and_not_what_they_lead_to(tree: Path) -> None:
    foreign_folders.clear(tree)
    assert list(tree.iterdir()) == []
    assert (tree.parent / "outside/kept").read_text() == "kept"


def test_clearing_is_stopped_by_no_permission(tree: Path) -> None:
    for place, mode in ((tree / "a/b", 0o500), (tree / "a", 0o000), (tree, 0o100)):
        place.chmod(mode)
    foreign_folders.clear(tree)
    assert list(tree.iterdir()) == []


def test_depth_is_no_obstacle(tmp_path: Path) -> None:
    """Deeper than a path may be long, than Python recurses, and than descriptors may be open."""
    start = os.open(".", os.O_RDONLY)
    try:
        os.chdir(tmp_path)
        for _ in range(3000):
            os.mkdir("deep")
            os.chdir("deep")
    finally:
        os.fchdir(start)
        os.close(start)
    assert sum(1 for _ in foreign_folders.walk(tmp_path)) == 3000
    before = len(os.listdir("/proc/self/fd"))
    foreign_folders.clear(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_folder_that_moves_away_under_the_walk_is_noticed(tmp_path: Path) -> None:
    """Or else `..` would lead the walk out of its root."""
    (tmp_path / "root/a/b").mkdir(parents=True)
    (tmp_path / "root/a/b/file").write_text("")
    (tmp_path / "elsewhere").mkdir()
    walk = foreign_folders.walk(tmp_path / "root")
    assert next(walk).name == "file"
    (tmp_path / "root/a/b").rename(tmp_path / "elsewhere/b")
    with pytest.raises(foreign_folders.TreeChanged):
        list(walk)


def test_a_folder_that_becomes_a_link_is_not_followed(tmp_path: Path) -> None:
    folders = {name: tmp_path / "root" / name for name in ("a", "b")}
    for folder in folders.values():
        folder.mkdir(parents=True)
        (folder / folder.name).write_text("")
    walk = foreign_folders.walk(tmp_path / "root")
    other = folders["b" if next(walk).name == "a" else "a"]
    (other / other.name).unlink()
    other.rmdir()
    other.symlink_to("/etc")
    with pytest.raises(foreign_folders.TreeChanged):
        list(walk)


def test_a_root_that_is_a_link_is_refused(tree: Path) -> None:
    link = tree.parent / "link"
    link.symlink_to(tree)
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        list(foreign_folders.walk(link))


def test_usage_counts_blocks_and_hard_links_once(tmp_path: Path) -> None:
    (tmp_path / "sparse").touch()
    os.truncate(tmp_path / "sparse", 1 << 30)
    (tmp_path / "file").write_bytes(os.urandom(1 << 20))
    os.link(tmp_path / "file", tmp_path / "again")
    assert (1 << 20) <= sum(foreign_folders.usage(tmp_path)) < (1 << 20) + (1 << 16)


def test_usage_counts_empty_files_too(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / str(number)).touch()
    assert sum(foreign_folders.usage(tmp_path)) >= 100 * 1024


@pytest.fixture
def owners(tree: Path) -> dict[str, tuple[int, int]]:
    """Who owns what after a hand-over, with the outside."""
    foreign_folders.hand_over(tree, *((61150, 61150) if IS_ROOT else ME))
    entries = [tree, *tree.rglob("*"), tree.parent / "outside", tree.parent / "outside/kept"]
    return {str(path.relative_to(tree.parent)): (path.lstat().st_uid, path.lstat().st_gid) for path in entries}


def test_a_hand_over_changes_all_of_the_tree_and_nothing_else(owners: dict[str, tuple[int, int]]) -> None:
    expected = (61150, 61150) if IS_ROOT else ME
    assert {owner for path, owner in owners.items() if path.startswith("root")} == {expected}
    assert {owner for path, owner in owners.items() if path.startswith("outside")} == {ME}


def test_usage_goes_on_in_a_tree_that_moves(tmp_path: Path) -> None:
    """What somebody moves away meanwhile is left out; the rest is counted all the same."""
    for name in ("a", "b", "c"):
        (tmp_path / "root" / name / "deep/deeper").mkdir(parents=True)
        (tmp_path / "root" / name / "deep/deeper/file").write_bytes(bytes(1 << 20))
    (tmp_path / "elsewhere").mkdir()
    uses = foreign_folders.usage(tmp_path / "root")
    total = next(uses)
    for name in ("a", "b"):
        (tmp_path / "root" / name / "deep").rename(tmp_path / "elsewhere" / name)
    total += sum(uses)
    assert (1 << 20) <= total < (3 << 20) + (1 << 16)
    assert sum(foreign_folders.usage(tmp_path / "root")) >= 1 << 20
