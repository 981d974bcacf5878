"""Whenever a process that works on a mirror is killed, the mirror is what it was before or what it was to become."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gitward.repositories import snapshot
from gitward.repositories.mirrors.collection import MirrorCollection
from gitward.repositories.mirrors.folder import MirrorFolder
from gitward.repositories.mirrors.metadata import BadMetadata, Metadata
from gitward.repositories.mirrors.source import MirrorChanged, MirrorDamaged, MirrorUnusable, key_of
from gitward.repositories.refs import HEADER, Refs, parse

KEY = "github.com-7"
META = Metadata(
    generation="one",
    server_url="https://github.com",
    repository_id=7,
    names=("octo/demo",),
    made_at=1.0,
    refreshed_at=1.0,
    used_at=1.0,
    files={},
)
_KILLED_AT = {"os.rename", "os.link", "os.remove", "os.rmdir", "os.mkdir", "open", "os.truncate"}


def refs_of(digit: str) -> Refs:
    return parse(HEADER + digit.encode() * 40 + b" refs/heads/main\n")


def pack_folder(folder: Path, *contents: bytes) -> Path:
    """Packs of one blob each, as a sandbox leaves them."""
    folder.mkdir()

    def git(*argv: str, stdin: bytes = b"") -> bytes:
        return subprocess.run(["git", *argv], cwd=folder, input=stdin, check=True, capture_output=True).stdout

    git("init", "-q", "--bare", ".")
    for content in contents:
        git("pack-objects", "-q", "objects/pack/pack", stdin=git("hash-object", "-w", "--stdin", stdin=content))
    return folder / "objects/pack"


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[int]:
    descriptor = snapshot.open_below(folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class Desk:
    """A shelf with one mirror, in a folder of its own; and the packs of its next changes."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.shelf = MirrorCollection(folder / "mirrors")
        self.shelf.prepare()
        self.mirror = self.shelf.mirror(KEY)
        self.root = folder / "mirrors"
        self.into = folder / "into"
        self.into.mkdir()
        self.first = pack_folder(folder / "first", b"a", b"b")
        self.second = pack_folder(folder / "second", b"c")

    def create(self) -> None:
        with opened(self.first) as packs:
            self.mirror.create(META, packs, refs_of("1"))

    def remake(self) -> None:
        with opened(self.second) as packs:
            self.mirror.create(replace(META, generation="two"), packs, refs_of("2"), instead_of="one")

    def extend(self) -> None:
        with opened(self.second) as packs:
            self.mirror.extend("one", packs, refs_of("2"))

    def exchange(self) -> None:
        with opened(self.second) as packs:
            self.mirror.exchange("one", sorted(self.files()), packs)

    def link(self) -> None:
        self.mirror.link(self.into, generation="one", name="octo/renamed")

    def drop(self) -> None:
        self.mirror.drop()

    def files(self) -> frozenset[str]:
        meta = self.mirror.read()
        return frozenset() if meta is None else frozenset(meta.files)

    def state(self) -> tuple[frozenset[str], bytes] | None:
        """Which packs and refs it has, after a look whether they are whole; None: there is no mirror."""
        meta = self.mirror.read()
        if meta is None:
            return None
        _, refs = self.mirror.link(self.into, generation=meta.generation)
        return frozenset(meta.files), refs


def _killed_at(number: int, work: Callable[[], None]) -> bool:
    """Does the work in a process that is killed right before its n-th change to a file; whether it came so far."""
    child = os.fork()
    if child == 0:  # nothing of the test's own may go on in here
        left = number

        def count(event: str, _arguments: tuple[object, ...]) -> None:
            nonlocal left
            if event in _KILLED_AT:
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        status = 1
        with contextlib.suppress(BaseException):
            sys.addaudithook(count)
            work()
            status = 0
        os._exit(status)
    _, ended = os.waitpid(child, 0)
    assert ended in {0, signal.SIGKILL}
    return ended != 0


@pytest.mark.slow
@pytest.mark.parametrize("change", ["create", "remake", "extend", "exchange", "link", "drop"])
def test_killed_at_any_moment(tmp_path: Path, change: str) -> None:
    reached = 0
    for number in range(1, 200):
        desk = Desk(tmp_path / str(number))
        if change != "create":
            desk.create()
        before = desk.state()
        whole = Desk(tmp_path / f"whole-{number}") if number == 1 else None
        if whole is not None:
            if change != "create":
                whole.create()
            getattr(whole, change)()
            after = whole.state()
        killed = _killed_at(number, getattr(desk, change))
        desk.shelf.prepare()  # as a worker's start does
        assert {path.name for path in desk.root.iterdir()} <= {KEY, f"{KEY}.lock"}
        state = desk.state()
        if change == "remake" and state is None:
            pass  # between the old one and the new one there may be none
        elif change == "extend" and state is not None and before is not None and state[1] == before[1]:
            assert state[0] >= before[0]  # new packs with the old refs: the next refresh brings the rest
        else:
            assert state in {before, after}
        if not killed:
            assert state == after
            break
        reached = number
        if desk.mirror.read() is None:  # and it can be made again
            desk.first = pack_folder(tmp_path / f"again-{number}", b"a", b"b")
            desk.create()
            assert desk.state() is not None
    else:
        pytest.fail("it does not end")
    assert reached > 3


def test_what_a_snapshot_has_outlives_the_mirror(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "d")
    desk.create()
    desk.link()
    files = desk.files()
    assert desk.mirror.drop() == sum((desk.into / "pack" / name).stat().st_size for name in files)
    assert {path.name for path in (desk.into / "pack").iterdir()} == files
    assert list(desk.root.iterdir()) == []
    assert desk.mirror.drop() == 0  # it may be gone already


def test_another_generation_is_neither_linked_nor_changed(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "d")
    desk.create()
    desk.remake()
    for change in (desk.link, desk.extend, desk.exchange, desk.remake):
        with pytest.raises(MirrorChanged):
            change()
    assert desk.files() == frozenset(path.name for path in (desk.mirror.path / "objects/pack").iterdir())


def test_use_is_noted(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "d")
    desk.create()
    desk.link()
    meta = desk.mirror.read()
    assert meta is not None
    assert meta.names == ("octo/demo", "octo/renamed")
    assert meta.used_at > META.used_at
    (found,) = desk.shelf.all()
    assert found.is_of("Octo/Renamed", "https://github.com")
    assert found.is_of("octo/demo")
    assert not found.is_of("octo/demo", "https://ghe.example")
    assert not found.is_of("octo/other")


def test_whoever_waits_for_a_lock_that_goes_takes_the_new_one(tmp_path: Path) -> None:
    """Else two would be inside at once: one with the removed lock, one with the new."""
    desk = Desk(tmp_path / "d")
    desk.create()
    inside: list[str] = []

    def take(name: str) -> None:
        with MirrorFolder(desk.root, KEY).locked():
            assert inside == []
            inside.append(name)
            time.sleep(0.05)
            inside.remove(name)

    waiting = [threading.Thread(target=take, args=(name,)) for name in "abc"]
    with desk.mirror.locked():
        for thread in waiting:
            thread.start()
        (desk.root / f"{KEY}.lock").unlink()
        take("new")
    for thread in waiting:
        thread.join()
    assert inside == []


def test_a_lock_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "d")
    with desk.mirror.locked(), pytest.raises(MirrorUnusable, match="locked"), MirrorFolder(desk.root, KEY).locked(0.05):
        pass


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", META.encode()[:-20], b'{"generation": 1}'])
def test_a_damaged_description_is_told(tmp_path: Path, data: bytes) -> None:
    desk = Desk(tmp_path / "d")
    desk.create()
    (desk.mirror.path / "meta.json").write_bytes(data)
    with pytest.raises(MirrorDamaged):
        desk.mirror.read()
    assert [each.meta for each in desk.shelf.all()] == [None]
    desk.drop()
    assert desk.mirror.read() is None


def test_a_description_is_read_as_it_was_written() -> None:
    assert Metadata.parse(META.encode()) == META
    with pytest.raises(BadMetadata):
        Metadata.parse(replace(META, names=()).encode())


def test_the_least_recently_used_go_first_and_none_in_use(tmp_path: Path) -> None:
    shelf = MirrorCollection(tmp_path)
    shelf.prepare()
    for number in range(4):
        with opened(pack_folder(tmp_path.parent / f"{tmp_path.name}-{number}", os.urandom(1000))) as packs:
            meta = replace(META, repository_id=number, used_at=float(number))
            shelf.mirror(f"github.com-{number}").create(meta, packs, refs_of("1"))
    size = shelf.all()[0].size
    assert shelf.evict(4 * size + 1000, frozenset()) == sum(each.size for each in shelf.all())
    assert shelf.evict(2 * size + 1000, {"github.com-0"}) <= 2 * size + 1000
    assert [each.key for each in shelf.all()] == ["github.com-0", "github.com-3"]
    assert shelf.evict(0, frozenset()) == 0
    assert list(tmp_path.iterdir()) == []


def test_keys_are_safe_names_and_differ() -> None:
    servers = ["https://github.com", "https://ghe.example:8443", "https://ghe.example_8443", "https://[::1]:8443"]
    keys = {key_of(server, number) for server in servers for number in (1, 2)}
    assert len(keys) == 8
    assert not any("/" in key or "+" in key or key.startswith(".") for key in keys)
