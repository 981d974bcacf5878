"""Packs as files: takes them over from a sandbox, checks them, and links them into the snapshot of a run."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

_NAME = re.compile(r"pack-(?:[0-9a-f]{40}|[0-9a-f]{64})\.(?:pack|idx|rev)")
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_COPIED = frozenset({errno.EXDEV, errno.EMLINK, errno.EPERM})  # where files cannot be linked


class BadPacks(ValueError):
    """These files are no packs, or not the ones that they should be."""


def open_below(folder: Path, *names: str) -> int:
    """A descriptor of a folder below one of ours; no link on the way is followed."""
    here = os.open(folder, _OPEN_FOLDER)
    for name in names:
        try:
            there = os.open(name, _OPEN_FOLDER, dir_fd=here)
        finally:
            os.close(here)
        here = there
    return here


def size_of(folder: int) -> int:
    """Bytes of the files in an open folder."""
    return sum(os.stat(name, dir_fd=folder, follow_symlinks=False).st_size for name in os.listdir(folder))


def take_over(folder: int, target: Path) -> dict[str, int]:
    """Moves the packs out of a folder that foreign code has written into one of ours, and makes them the worker's.

    Nobody else may have the folder open. Returns the files with their sizes; other files are left behind.

    :raises BadPacks: a pack is no file, or lacks its index.
    """
    names = sorted(name for name in os.listdir(folder) if _NAME.fullmatch(name))
    _require_pairs(names)
    sizes = {name: _own(folder, name) for name in names}
    for name in names:
        _move(folder, name, target / name)
    return sizes


def _require_pairs(names: Iterable[str]) -> None:
    stems: dict[str, set[str]] = {}
    for name in names:
        stem, _, kind = name.partition(".")
        stems.setdefault(stem, set()).add(kind)
    for stem, kinds in stems.items():
        if not kinds >= {"pack", "idx"}:
            raise BadPacks(f"{stem} is not complete")


def _own(folder: int, name: str) -> int:
    """Gives a file to the worker, to be read only; returns its size."""
    file = os.open(name, _OPEN_FILE, dir_fd=folder)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise BadPacks(f"{name} is no file")
        if status.st_uid != os.geteuid():
            os.fchown(file, os.geteuid(), os.getegid())
        os.fchmod(file, 0o444)
        os.fsync(file)
        return status.st_size
    finally:
        os.close(file)


def _move(folder: int, name: str, target: Path) -> None:
    try:
        os.rename(name, target, src_dir_fd=folder)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with open(os.open(name, _OPEN_FILE, dir_fd=folder), "rb") as source:
            _write_copy(source.fileno(), target)


def link(folder: Path, names: Iterable[str], into: Path) -> None:
    """Makes the packs of a folder visible in another one of ours; where files cannot be linked, by copies."""
    for name in names:
        target = into / name
        with contextlib.suppress(FileNotFoundError):
            target.unlink()
        try:
            os.link(folder / name, target)
        except OSError as error:
            if error.errno not in _COPIED:
                raise
            with (folder / name).open("rb") as source:
                _write_copy(source.fileno(), target)


def _write_copy(source: int, target: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        target.unlink()
    with open(source, "rb", closefd=False) as original, target.open("xb") as copy:
        shutil.copyfileobj(original, copy, 1024 * 1024)
        copy.flush()
        os.fchmod(copy.fileno(), 0o444)
        os.fsync(copy.fileno())


def prepare(into: Path) -> Path:
    """Makes the folders of an object store in an existing folder; returns the one for packs."""
    for name in ("pack", "info"):
        (into / name).mkdir(exist_ok=True)
        (into / name).chmod(0o755)  # whatever the umask: a sandbox's own user reads it
    return into / "pack"


def check(folder: Path, sizes: Mapping[str, int]) -> None:
    """Whether the files are whole, as far as can be seen without reading them.

    Each has the size that it had, and each index belongs to its pack.

    :raises BadPacks: they are not.
    """
    for name, size in sizes.items():
        if not _NAME.fullmatch(name):
            raise BadPacks(f"{name!a} is not the name of a pack")
        if name.endswith(".pack"):
            _check_pack(folder, name, size, sizes.get(name.removesuffix(".pack") + ".idx"))
        elif (folder / name).stat().st_size != size:
            raise BadPacks(f"{name} has another size than it had")


def _check_pack(folder: Path, name: str, size: int, index_size: int | None) -> None:
    width = 20 if len(name) == len("pack-.pack") + 40 else 32  # bytes of a hash
    if index_size is None:
        raise BadPacks(f"{name} has no index")
    with (folder / name).open("rb") as pack, (folder / name).with_suffix(".idx").open("rb") as index:
        if (os.fstat(pack.fileno()).st_size, os.fstat(index.fileno()).st_size) != (size, index_size):
            raise BadPacks(f"{name} or its index has another size than it had")
        head = os.pread(pack.fileno(), 8, 0)
        trailer = os.pread(pack.fileno(), width, max(0, size - width))
        expected = os.pread(index.fileno(), width, max(0, index_size - 2 * width))
    if head != b"PACK\0\0\0\2" or len(trailer) != width or trailer != expected:
        raise BadPacks(f"{name} is damaged, or its index is another pack's")
