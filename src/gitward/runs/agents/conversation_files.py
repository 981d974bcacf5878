"""Reads an agent's conversation out of the workspace, and looks for secrets in it, outside of any sandbox.

The files are hostile: bounded in number, size and depth, read without following links. A program may be writing
them; see `read`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from gitward.agents.archive import MOST_BYTES, MOST_FILES, KeptFile, WrongArchive, is_kept
from gitward.agents.catalogue import AGENTS_DIR
from gitward.repositories import foreign_folder
from gitward.repositories.foreign_folder import Tree
from gitward.sandboxes import WORK_DIR
from gitward.telemetry.redaction import Redactor

_DEPTH = 8  # folders below the agent's own
_MOST_NAMES = 5_000  # that are looked at
_TRIES = 3  # for files that change meanwhile
_PIECE = 256 * 1024  # of a search, during which no other thread runs

Signature = tuple[tuple[str, int, int, int], ...]


class Changing(Exception):
    """The files are being written; the next look may find them at rest."""


def read(workspace: Path, agent: str, globs: Sequence[str]) -> tuple[KeptFile, ...]:
    """The files that the globs name, as they were at one moment: a database in two files is broken otherwise. Blocks.

    :raises WrongArchive: there is more than may be kept.
    :raises Changing: there was no such moment.
    """
    try:
        with foreign_folder.opened(workspace / "work") as work, work.below(_below(agent)) as folder:
            for _ in range(_TRIES):
                before = _signature(folder, globs)
                files = tuple(_contents(folder, before))
                if len(files) == len(before) and _signature(folder, globs) == before:
                    return files
            raise Changing
    except FileNotFoundError:
        return ()


def signature(workspace: Path, agent: str, globs: Sequence[str]) -> Signature:
    """Which files there are, and when they were written; the same again means that they rest. Blocks.

    :raises WrongArchive: there is more than may be kept.
    """
    try:
        with foreign_folder.opened(workspace / "work") as work, work.below(_below(agent)) as folder:
            return _signature(folder, globs)
    except FileNotFoundError:
        return ()


def _below(agent: str) -> str:
    return f"{AGENTS_DIR}/{agent}".removeprefix(f"{WORK_DIR}/")


def _signature(folder: Tree, globs: Sequence[str]) -> Signature:
    """Name, inode, size and time of each regular file that is kept."""
    found: list[tuple[str, int, int, int]] = []
    for path in _paths(folder, globs):
        status = folder.status(path)
        if status is not None and stat.S_ISREG(status.st_mode):
            found.append((path, status.st_ino, status.st_size, status.st_mtime_ns))
    if len(found) > MOST_FILES or sum(size for _, _, size, _ in found) > MOST_BYTES:
        raise WrongArchive(f"more than {MOST_FILES} files or {MOST_BYTES // 2**20} MiB")
    return tuple(sorted(found))


def _contents(folder: Tree, signature: Signature) -> Iterator[KeptFile]:
    for path, _, size, _ in signature:
        content = folder.read(path, size)
        if content is not None and len(content) == size:
            yield KeptFile(path=path, content=content)


def _paths(folder: Tree, globs: Sequence[str]) -> Iterator[str]:
    waiting, looked_at = [("", 0)], 0
    while waiting:
        here, depth = waiting.pop()
        for name, is_folder in folder.names(here):
            looked_at += 1
            if looked_at > _MOST_NAMES:
                raise WrongArchive(f"more than {_MOST_NAMES} files in the agent's folder")
            path = f"{here}/{name}".lstrip("/")
            if is_folder and depth < _DEPTH and _may_hold(path, globs):
                waiting.append((path, depth + 1))
            elif not is_folder and is_kept(path, globs):
                yield path


def _may_hold(path: str, globs: Sequence[str]) -> bool:
    """Whether something below a folder may be kept: caches of thousands of files are not looked at."""
    for glob in globs:
        fixed = glob.split("*", 1)[0].rpartition("/")[0]
        if not fixed or path == fixed or path.startswith(f"{fixed}/") or fixed.startswith(f"{path}/"):
            return True
    return False


def hold_secret(files: Sequence[KeptFile], redactor: Redactor) -> bool:
    """Whether a secret, or a half of one, is in the files or their names. Blocks, in pieces."""
    overlap = redactor.longest
    names = os.fsencode("\n".join(each.path for each in files))
    for content in (names, *(each.content for each in files)):
        for start in range(0, len(content), _PIECE):
            if redactor.holds_secret(content[start : start + _PIECE + overlap]):
                return True
    return False
