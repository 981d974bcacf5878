"""Packs that foreign code wrote are taken over as files and nothing else; damage is noticed when they are linked."""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gitward.repositories.snapshot import BadPacks, check, link, open_below, prepare, take_over


def packed(folder: Path) -> Path:
    """A folder with one pack and its index, as git leaves them."""

    def git(*argv: str, stdin: bytes = b"") -> bytes:
        return subprocess.run(["git", *argv], cwd=folder, input=stdin, check=True, capture_output=True).stdout

    folder.mkdir()
    git("init", "-q")
    (folder / "file").write_bytes(os.urandom(5000))
    git("add", "file")
    oid = git("write-tree")
    (folder / "packs").mkdir()
    git("pack-objects", "-q", "packs/pack", stdin=oid + git("rev-parse", ":file"))
    return folder / "packs"


def taken(packs: Path, target: Path) -> dict[str, int]:
    target.mkdir()
    folder = open_below(packs)
    try:
        return take_over(folder, target)
    finally:
        os.close(folder)


def test_packs_become_the_workers_and_nothing_else_does(tmp_path: Path) -> None:
    packs = packed(tmp_path / "a")
    (packs / "tmp_pack_123").write_text("x")
    (packs / "pack-1.pack").write_text("x")
    (packs / "pack-1.keep").write_text("x")
    if os.geteuid() == 0:
        for path in packs.iterdir():
            os.chown(path, 61000, 61000)
    sizes = taken(packs, tmp_path / "target")
    assert sizes == {path.name: path.stat().st_size for path in (tmp_path / "target").iterdir()}
    assert {name.partition(".")[2] for name in sizes} >= {"pack", "idx"}
    for path in (tmp_path / "target").iterdir():
        status = path.stat()
        assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o444, os.geteuid())
    check(tmp_path / "target", sizes)


def _link_elsewhere(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("kind", [".pack", ".idx"])
@pytest.mark.parametrize("change", [_link_elsewhere, _pipe, _folder, Path.unlink])
def test_what_is_no_pack_is_refused(tmp_path: Path, change: Callable[[Path], None], kind: str) -> None:
    packs = packed(tmp_path / "a")
    change(next(packs.glob(f"*{kind}")))
    with pytest.raises((BadPacks, OSError)):
        taken(packs, tmp_path / "target")
    assert list((tmp_path / "target").iterdir()) == []
    assert stat.S_IMODE(os.stat("/etc/passwd").st_mode) == 0o644


def test_a_link_on_the_way_is_not_followed(tmp_path: Path) -> None:
    packed(tmp_path / "a")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(NotADirectoryError):
        open_below(tmp_path, "link", "packs")


def _truncate(path: Path) -> None:
    path.chmod(0o644)
    os.truncate(path, path.stat().st_size - 1)


def _flip_end(path: Path) -> None:
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(-3 if path.suffix == ".pack" else -25, os.SEEK_END)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


@pytest.mark.parametrize("kind", [".pack", ".idx"])
@pytest.mark.parametrize("change", [_truncate, _flip_end, Path.unlink])
def test_damage_is_seen(tmp_path: Path, change: Callable[[Path], None], kind: str) -> None:
    target = tmp_path / "target"
    sizes = taken(packed(tmp_path / "a"), target)
    change(next(target.glob(f"*{kind}")))
    with pytest.raises((BadPacks, FileNotFoundError)):
        check(target, sizes)


def test_an_index_of_another_pack_is_seen(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    sizes = taken(packed(tmp_path / "a"), one)
    taken(packed(tmp_path / "b"), other)
    index = next(one.glob("*.idx"))
    index.unlink()
    os.rename(next(other.glob("*.idx")), index)
    sizes[index.name] = index.stat().st_size
    with pytest.raises(BadPacks, match="another pack's"):
        check(one, sizes)


def test_a_pack_is_linked_and_not_copied(tmp_path: Path) -> None:
    target, into = tmp_path / "target", tmp_path / "into"
    sizes = taken(packed(tmp_path / "a"), target)
    into.mkdir()
    for _ in range(2):  # what a lost worker had linked is no obstacle
        link(target, sizes, prepare(into))
    for name in sizes:
        assert (into / "pack" / name).stat().st_ino == (target / name).stat().st_ino
    assert stat.S_IMODE((into / "pack").stat().st_mode) == 0o755


def test_on_another_disk_packs_are_copied(tmp_path: Path) -> None:
    target = tmp_path / "target"
    sizes = taken(packed(tmp_path / "a"), target)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as disk:
        assert os.stat(disk).st_dev != tmp_path.stat().st_dev
        for _ in range(2):
            link(target, sizes, prepare(Path(disk)))
        check(Path(disk) / "pack", sizes)
        back = tmp_path / "back"
        assert taken(Path(disk) / "pack", back) == sizes
        check(back, sizes)
