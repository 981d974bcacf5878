"""The folder of environments: names lead to images, and nobody loses one that he uses."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest

from gitward.environments.store import Store, Unusable

ABOUT = {"folders": ["usr"], "links": {"bin": "usr/bin"}, "variables": {"A": "b"}, "bytes": 5, "files": 1}


def put(store: Store, name: str, digest: str) -> None:
    with store.changing():
        part = store.new_part()
        (store.tree(part) / "usr").mkdir()
        (store.tree(part) / "usr/file").write_text("hello")
        (store.tree(part) / "usr").chmod(0o555)
        store.put(part, digest, ABOUT)
        if part.exists():
            store.sweep()
        store.name(name, digest, source="/folder", added_at="2026-11-29T12:00:00+00:00")
        store.sweep()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "environments")


def test_names_lead_to_images(store: Store) -> None:
    put(store, "go", "d1")
    put(store, "node", "d2")
    assert store.names() == ["go", "node"]
    found = store.get("go")
    assert found is not None
    assert (found.digest, found.image.folders, found.image.links) == ("d1", ("usr",), {"bin": "usr/bin"})
    assert (found.image.root / "usr/file").read_text() == "hello"
    assert store.get("none") is None


def test_the_same_content_is_stored_once(store: Store) -> None:
    put(store, "go", "d1")
    put(store, "golang", "d1")
    assert os.listdir(store.folder / "images") == ["d1"]
    with store.changing():
        assert store.remove("go")
    assert store.get("golang") is not None


def test_an_image_in_use_is_not_removed(store: Store) -> None:
    put(store, "go", "d1")
    found = store.get("go")
    assert found is not None
    user = os.open(found.image.lock, os.O_RDONLY)
    fcntl.flock(user, fcntl.LOCK_SH)
    with store.changing(), pytest.raises(Unusable, match="The environment go is in use by a run"):
        store.remove("go")
    assert store.get("go") is not None
    put(store, "go", "d2")  # another image takes the name; who uses the old one keeps it
    assert (found.image.root / "usr/file").read_text() == "hello"
    os.close(user)
    with store.changing():
        store.sweep()
        assert os.listdir(store.folder / "images") == ["d2"]
        assert store.remove("go")
        assert not store.remove("go")
    assert os.listdir(store.folder / "images") == []


def test_what_an_interrupted_command_left_goes(store: Store) -> None:
    put(store, "go", "d1")
    part = store.new_part()
    (store.tree(part) / "usr").mkdir()
    (store.tree(part) / "usr/link").symlink_to("/etc")
    (store.tree(part) / "usr").chmod(0o000)
    with store.changing():
        store.sweep()
    assert os.listdir(store.folder / "images") == ["d1"]
    assert Path("/etc/passwd").exists()


def test_two_commands_do_not_change_it_at_once(store: Store) -> None:
    with store.changing(), pytest.raises(Unusable, match="Another command is changing"), store.changing():
        pass


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"digest": "gone", "source": "", "added_at": ""}', "\xff"])
def test_a_damaged_name_is_a_sentence(store: Store, content: str) -> None:
    put(store, "go", "d1")
    (store.folder / "names/go.json").write_text(content, encoding="latin-1")
    with pytest.raises(Unusable, match=r"The environment go cannot be read .*; add it again"):
        store.get("go")


def test_an_image_of_another_version_is_to_be_added_again(store: Store) -> None:
    put(store, "go", "d1")
    about = store.folder / "images/d1/about.json"
    about.chmod(0o644)
    about.write_text(json.dumps({**ABOUT, "version": 99}))
    with pytest.raises(Unusable, match="made by another version"):
        store.get("go")
