"""The LFS files of a new checkout, and how they get their content."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gitward.repositories import foreign_folder, tree_entries
from gitward.repositories.checkout import CHECKOUT_DIR, REPO
from gitward.repositories.git import LISTING_BYTES, Git, Runner
from gitward.repositories.lfs import LFS_DIR, filter_process, transfer
from gitward.repositories.lfs.pointers import LONGEST, Pointer, parse
from gitward.sandboxes import WORK_DIR, foreign_folders

STORAGE = "lfs-storage"  # below the workspace's `work`, while files get their content
# Our filter; what the tree's .lfsconfig includes or excludes does not count.
_FILTER = (
    *("-c", f"filter.lfs.process={filter_process(LFS_DIR)}"),
    *("-c", "filter.lfs.required=true"),
    *("-c", f"lfs.storage={WORK_DIR}/{STORAGE}"),
    *("-c", "lfs.fetchinclude="),
    *("-c", "lfs.fetchexclude="),
)


def _git(runner: Runner) -> Git:
    return Git(runner=runner, folder=f"{CHECKOUT_DIR}/.git", tree=CHECKOUT_DIR, more={"GIT_LFS_SKIP_SMUDGE": "0"})


async def find(runner: Runner, work: Path) -> Mapping[Pointer, Sequence[bytes]]:
    """The pointers in the tree's LFS files, each with its paths. Raises GitFailed."""
    listed = await _git(runner).do("ls-files", "-z", "--", ":(attr:filter=lfs)", limit=LISTING_BYTES)
    return await asyncio.to_thread(_read, work, tree_entries.names(listed))


def _read(work: Path, paths: Iterable[bytes]) -> dict[Pointer, list[bytes]]:
    found: dict[Pointer, list[bytes]] = {}
    with foreign_folder.opened(work / REPO) as tree:
        for path in paths:
            content = tree.read(path.decode("utf-8", "surrogateescape"), LONGEST)
            if content is not None and (pointer := parse(content)) is not None:
                found.setdefault(pointer, []).append(path)
    return found


async def fill(runner: Runner, work: Path, found: Mapping[Pointer, Sequence[bytes]]) -> None:
    """Puts content, which must lie in `LFS_DIR`, in the place of pointers. Raises GitFailed."""
    paths = [path for each in found.values() for path in each]
    storage = work / STORAGE
    await asyncio.to_thread(_begin, work, storage, found, paths)
    ask = (*_FILTER, "checkout-index", "--index", "-z", "--stdin")
    await _git(runner).do(*ask, stdin=tree_entries.joined(paths))
    await asyncio.to_thread(_end, storage)


def _begin(work: Path, storage: Path, found: Iterable[Pointer], paths: Iterable[bytes]) -> None:
    storage.mkdir()
    transfer.lend(storage, LFS_DIR, found)
    _remove(work, paths)


def _end(storage: Path) -> None:
    foreign_folders.clear(storage)
    storage.rmdir()


def _remove(work: Path, paths: Iterable[bytes]) -> None:
    """Git would first clean what lies there, to see whether it changed."""
    with foreign_folder.opened(work / REPO) as tree:
        for path in paths:
            with tree.parent(path.decode("utf-8", "surrogateescape")) as (folder, name):
                os.unlink(name, dir_fd=folder)
