"""Objects are believed for their content alone, and a cache gives them to nobody else than who may have them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitward.repositories import foreign_folder
from gitward.repositories.lfs import objects
from gitward.repositories.lfs.pointers import Pointer
from gitward.repositories.mirrors import lfs_cache
from gitward.repositories.mirrors.collection import MirrorCollection
from gitward.repositories.mirrors.folder import MirrorFolder
from lfs_files import pointer_of

GOOD = b"content"
POINTER = pointer_of(GOOD)


def put(storage: Path, content: bytes, pointer: Pointer = POINTER) -> Path:
    place = storage / pointer.path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    storage = tmp_path / "ours"
    objects.prepare(storage)
    return storage


def mirror_in(root: Path, key: str = "github.com-1") -> MirrorFolder:
    mirror = MirrorFolder(root, key)
    mirror.path.mkdir(parents=True)
    return mirror


def test_what_is_taken_over_is_ours_and_read_only(tmp_path: Path, ours: Path) -> None:
    put(tmp_path / "theirs", GOOD)
    assert objects.take_over(tmp_path / "theirs", [POINTER], ours) == {POINTER}
    place = ours / POINTER.path
    assert (place.read_bytes(), place.stat().st_mode & 0o777, place.stat().st_uid) == (GOOD, 0o444, os.geteuid())


def test_a_wrong_file_of_the_right_size_is_not_taken(tmp_path: Path, ours: Path) -> None:
    put(tmp_path / "theirs", b"CONTENT")
    assert objects.take_over(tmp_path / "theirs", [POINTER], ours) == set()
    assert not (ours / POINTER.path).exists()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "longer", "none"])
def test_what_is_no_file_of_the_right_size_is_not_taken(tmp_path: Path, ours: Path, kind: str) -> None:
    place = put(tmp_path / "theirs", GOOD + b"!")
    if kind != "longer":
        place.unlink()
    if kind == "link":
        (tmp_path / "secret").write_bytes(GOOD)
        place.symlink_to(tmp_path / "secret")
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    assert objects.take_over(tmp_path / "theirs", [POINTER], ours) == set()
    with foreign_folder.opened(tmp_path / "theirs") as tree:
        assert objects.lend(tree, [POINTER], ours) == []


def test_a_folder_that_is_a_link_is_not_followed(tmp_path: Path, ours: Path) -> None:
    put(tmp_path / "secret", GOOD)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/objects").symlink_to(tmp_path / "secret/objects")
    assert objects.take_over(tmp_path / "theirs", [POINTER], ours) == set()


def test_the_cache_lends_what_it_was_given(tmp_path: Path, ours: Path) -> None:
    mirror = mirror_in(tmp_path / "mirrors")
    put(ours, GOOD)
    lfs_cache.store(mirror, [POINTER], ours, limit=100)
    run = tmp_path / "run"
    objects.prepare(run)
    assert lfs_cache.lend(mirror, [POINTER, pointer_of(b"other")], run) == {POINTER}
    assert (run / POINTER.path).samefile(ours / POINTER.path)
    assert lfs_cache.lend(mirror_in(tmp_path / "mirrors", "github.com-2"), [POINTER], run) == set()


def test_the_cache_lends_nothing_of_another_size(tmp_path: Path, ours: Path) -> None:
    mirror = mirror_in(tmp_path / "mirrors")
    put(ours, GOOD)
    lfs_cache.store(mirror, [POINTER], ours, limit=100)
    assert lfs_cache.lend(mirror, [Pointer(oid=POINTER.oid, size=6)], tmp_path) == set()


def test_the_least_recently_used_objects_go_first(tmp_path: Path, ours: Path) -> None:
    mirror = mirror_in(tmp_path / "mirrors")
    contents = [b"%d" % number * 10 for number in range(3)]
    for age, content in zip((3, 1, 2), contents, strict=True):
        place = put(ours, content, pointer_of(content))
        os.utime(place, (1e9 - age, 1e9 - age))
    lfs_cache.store(mirror, map(pointer_of, contents), ours, limit=20)
    assert {path.read_bytes() for path in (mirror.path / "lfs").iterdir()} == {contents[1], contents[2]}
    run = tmp_path / "run"
    objects.prepare(run)
    lfs_cache.lend(mirror, [pointer_of(contents[2])], run)
    lfs_cache.store(mirror, [], ours, limit=10)
    assert {path.read_bytes() for path in (mirror.path / "lfs").iterdir()} == {contents[2]}


def test_objects_count_with_their_mirror_and_go_with_it(tmp_path: Path, ours: Path) -> None:
    mirror = mirror_in(tmp_path / "mirrors")
    put(ours, GOOD)
    lfs_cache.store(mirror, [POINTER], ours, limit=100)
    [shelved] = MirrorCollection(tmp_path / "mirrors").all()
    assert shelved.lfs_bytes == len(GOOD)
    mirror.drop()
    assert list((tmp_path / "mirrors").iterdir()) == []
    lfs_cache.store(mirror, [POINTER], ours, limit=100)
    assert list((tmp_path / "mirrors").iterdir()) == [], "without a mirror nothing is kept"


def test_what_is_kept_for_later_has_a_limit(tmp_path: Path, ours: Path) -> None:
    contents = [b"%d" % number * 10 for number in range(3)]
    for content in contents:
        put(ours, content, pointer_of(content))
    kept = tmp_path / "kept"
    objects.store(ours, map(pointer_of, contents), kept)
    for age, content in zip((1, 3, 2), contents, strict=True):
        os.utime(kept / pointer_of(content).path, (1e9 - age, 1e9 - age))
    objects.trim(kept, 20)
    assert {path.read_bytes() for path in kept.glob("objects/*/*/*")} == {contents[0], contents[2]}
