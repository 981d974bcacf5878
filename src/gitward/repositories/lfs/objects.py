"""Files of LFS objects: takes them over from a sandbox, hashes and links them. Everything here blocks."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from gitward.repositories import foreign_folder
from gitward.repositories.lfs.pointers import Pointer
from gitward.sandboxes import foreign_folders

_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_UNLINKABLE = frozenset({errno.EXDEV, errno.EMLINK, errno.EPERM})


def prepare(storage: Path) -> None:
    """Makes the folder of a storage, or empties it."""
    storage.mkdir(mode=0o755, exist_ok=True)
    foreign_folders.clear(storage)
    storage.chmod(0o755)  # a sandbox's own user reads it


def place_of(storage: Path, pointer: Pointer) -> Path:
    """Where an object belongs; its folder is made, to be read by all."""
    place = storage / pointer.path
    for folder in (storage / "objects", place.parent.parent, place.parent):
        if not folder.is_dir():
            folder.mkdir()
            folder.chmod(0o755)
    return place


def take_over(source: Path, wanted: Iterable[Pointer], storage: Path) -> set[Pointer]:
    """Moves objects out of a storage that foreign code has written into one of ours, and makes them the worker's.

    Nobody else may have it open. Returns those whose content is what their name says; others are removed.
    """
    found: set[Pointer] = set()
    try:
        with foreign_folder.opened(source) as tree:
            for pointer in wanted:
                place = place_of(storage, pointer)
                if _taken(tree, pointer, place):
                    if is_whole(place, pointer):
                        found.add(pointer)
                    else:
                        place.unlink()
    except (FileNotFoundError, NotADirectoryError):
        pass
    return found


def _taken(tree: foreign_folder.Tree, pointer: Pointer, place: Path) -> bool:
    try:
        with tree.parent(pointer.path) as (folder, name), _regular(folder, name, pointer) as file:
            if file is None:
                return False
            _make_ours(file)
            _move(folder, name, file, place)
            return True
    except (FileNotFoundError, NotADirectoryError):
        return False


@contextlib.contextmanager
def _regular(folder: int, name: str, pointer: Pointer) -> Iterator[int | None]:
    """The open file, if it is one of the right size."""
    try:
        file = os.open(name, _OPEN_FILE, dir_fd=folder)
    except OSError:  # none is there, or a link, or it cannot be read
        yield None
        return
    try:
        status = os.fstat(file)
        yield file if stat.S_ISREG(status.st_mode) and status.st_size == pointer.size else None
    finally:
        os.close(file)


def _move(folder: int, name: str, file: int, place: Path) -> None:
    try:
        os.rename(name, place, src_dir_fd=folder)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(file, place)


def _copy(file: int, place: Path) -> None:
    with open(file, "rb", closefd=False) as source, place.open("xb") as copy:
        shutil.copyfileobj(source, copy, 1024 * 1024)
        os.fchmod(copy.fileno(), 0o444)


def is_whole(path: Path, pointer: Pointer) -> bool:
    """Whether the content has the size and the hash that the pointer says."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size != pointer.size:
            return False
        return hashlib.file_digest(file, "sha256").hexdigest() == pointer.oid


def link(source: Path, place: Path) -> None:
    """Makes a file visible at another place of ours, where none is; where it cannot be linked, by a copy."""
    try:
        os.link(source, place, follow_symlinks=False)
    except FileExistsError:
        pass
    except OSError as error:
        if error.errno not in _UNLINKABLE:
            raise
        with source.open("rb") as file:
            _copy(file.fileno(), place)


def lend(source: foreign_folder.Tree, wanted: Iterable[Pointer], storage: Path) -> list[Pointer]:
    """Links objects of the right size out of the command's storage into one that a sandbox of ours has.

    Whether their content is right is still to be seen. Those that the storage has already are left alone.
    """
    lent = []
    for pointer in wanted:
        place = place_of(storage, pointer)
        if place.exists():
            continue
        with contextlib.suppress(OSError):
            _lend(source, pointer, place)
            lent.append(pointer)
    return lent


def _lend(source: foreign_folder.Tree, pointer: Pointer, place: Path) -> None:
    with source.parent(pointer.path) as (folder, name), _regular(folder, name, pointer) as file:
        if file is None:
            raise FileNotFoundError(name)
        os.link(name, place, src_dir_fd=folder, follow_symlinks=False)


def store(source: Path, wanted: Iterable[Pointer], storage: Path) -> None:
    """Links objects out of a storage that a sandbox of ours wrote into one that no sandbox sees, as the worker's."""
    storage.mkdir(mode=0o700, exist_ok=True)
    with foreign_folder.opened(source) as tree:
        for pointer in wanted:
            place = place_of(storage, pointer)
            with contextlib.suppress(OSError):
                _link_as_ours(tree, pointer, place)


def _link_as_ours(tree: foreign_folder.Tree, pointer: Pointer, place: Path) -> None:
    with tree.parent(pointer.path) as (folder, name), _regular(folder, name, pointer) as file:
        if file is not None:
            _make_ours(file)
            os.link(name, place, src_dir_fd=folder, follow_symlinks=False)


def _make_ours(file: int) -> None:
    if os.fstat(file).st_uid != os.geteuid():
        os.fchown(file, os.geteuid(), os.getegid())
    os.fchmod(file, 0o444)


def trim(storage: Path, limit: int) -> None:
    """Removes the oldest objects of a storage of ours beyond so many bytes."""
    there = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in storage.glob("objects/*/*/*"))
    total = sum(size for _, size, _ in there)
    for _, size, path in there:
        if total <= limit:
            return
        path.unlink()
        total -= size
