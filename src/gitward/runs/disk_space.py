"""Makes room in a workspace whose disk is full, by removing what is no part of the work."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from gitward.repositories import baseline, checkout, git_folder
from gitward.repositories.checkout import REPO
from gitward.repositories.git import LISTING_BYTES, GitFailed
from gitward.runs import login
from gitward.runs.context import Context
from gitward.runs.result_sandbox import Bench
from gitward.sandboxes import trees
from gitward.sessions import artifacts

_SCANT_BYTES = 1024 * 1024
_DEEPEST = 50  # folders in folders that are looked into


async def is_full(workspace: Path) -> bool:
    """Whether the disk of the workspace has no room, however little of it is the workspace's."""
    try:
        return (await asyncio.to_thread(shutil.disk_usage, workspace)).free < _SCANT_BYTES
    except OSError:
        return False


async def clear(context: Context) -> None:
    """Removes the home, the caches, all that lies beside the checkout, and new files too long to be kept.

    The last are counted in a notice. Nothing of the run may be executing. No command is needed: there may be no room
    for a sandbox.
    """
    await login.wipe(context.workspace)
    large = await asyncio.to_thread(_clear, context.workspace)
    if large:
        megabytes = artifacts.MAX_BYTES // 2**20
        message = f"The disk was full: {large} new files of more than {megabytes} MiB are not in what is kept."
        await context.attempt.notice(message)


def _clear(workspace: Path) -> int:
    """How many large files went."""
    for aside in checkout.leftovers(workspace):
        checkout.remove(aside)
    with git_folder.opened(workspace / "work") as work:
        _remove(work.fd, [name.encode() for name, _ in work.names("") if name != REPO])
        return _clear_large(workspace, work)


def _clear_large(workspace: Path, work: git_folder.Tree) -> int:
    """Removes files that the index of the baseline does not name; those that it names stay whatever their size."""
    try:
        known = baseline.index_path(workspace).read_bytes()
        with work.below(REPO) as repo:
            large = [name for name in _large_files(repo, "") if os.fsencode(name) + b"\0" not in known]
            _remove(repo.fd, [os.fsencode(name) for name in large])
    except OSError:  # there is no checkout any more, or it has no index
        return 0
    return len(large)


def _large_files(repo: git_folder.Tree, folder: str) -> Iterator[str]:
    for name, is_folder in repo.names(folder):
        path = f"{folder}/{name}" if folder else name
        if path == ".git":
            continue
        if is_folder:
            yield from _large_files(repo, path) if path.count("/") < _DEEPEST else ()
        elif _size(repo, path) > artifacts.MAX_BYTES:
            yield path


def _size(repo: git_folder.Tree, path: str) -> int:
    status = repo.status(path)
    return status.st_size if status is not None and stat.S_ISREG(status.st_mode) else 0


async def clear_ignored(context: Context, bench: Bench) -> None:
    """Removes what git ignores."""
    arguments = ("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
    try:
        ignored = await bench.result.tree.do(*arguments, limit=LISTING_BYTES)
    except GitFailed:
        return
    await asyncio.to_thread(_clear_ignored, context.workspace, ignored.split(b"\0"))


def _clear_ignored(workspace: Path, ignored: Iterable[bytes]) -> None:
    with git_folder.opened(workspace / "work") as work, work.below(REPO) as repo:
        _remove(repo.fd, ignored)


def _remove(root: int, names: Iterable[bytes]) -> None:
    """Removes files and folders below a folder; no link on the way is followed."""
    tree = git_folder.Tree(fd=root)
    for name in names:
        path = os.fsdecode(name.rstrip(b"/"))
        status = tree.status(path) if path else None
        if status is None:
            continue
        with contextlib.suppress(OSError), tree.parent(path) as (folder, last):
            if stat.S_ISDIR(status.st_mode):
                trees.clear(Path(f"/proc/self/fd/{folder}/{last}"))
                os.rmdir(last, dir_fd=folder)
            else:
                os.unlink(last, dir_fd=folder)
