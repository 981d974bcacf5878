"""Makes room in a workspace whose disk is full, by removing what is no part of the work."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from gitward.repositories import checkout, git_folder
from gitward.repositories.checkout import REPO
from gitward.repositories.git import LISTING_BYTES, GitFailed
from gitward.runs import login
from gitward.runs.context import Context
from gitward.runs.result_sandbox import Bench
from gitward.sandboxes import trees
from gitward.sessions import artifacts

_SCANT_BYTES = 1024 * 1024


async def is_full(workspace: Path) -> bool:
    """Whether the disk of the workspace has no room, however little of it is the workspace's."""
    try:
        return (await asyncio.to_thread(shutil.disk_usage, workspace)).free < _SCANT_BYTES
    except OSError:
        return False


async def clear_beside(context: Context) -> None:
    """Removes the home, the caches, and all that lies beside the checkout. Nothing of the run may be executing."""
    await login.wipe(context.workspace)
    await asyncio.to_thread(_clear_beside, context.workspace)


def _clear_beside(workspace: Path) -> None:
    for aside in checkout.leftovers(workspace):
        checkout.remove(aside)
    with git_folder.opened(workspace / "work") as work:
        _remove(work.fd, [name.encode() for name, _ in work.names("") if name != REPO])


async def clear_within(context: Context, bench: Bench) -> None:
    """Removes what git ignores, and new files too long to be kept, which are counted in a notice."""
    git = bench.result.tree
    try:
        ignored = await git.do(
            *("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z"), limit=LISTING_BYTES
        )
        new = await git.do("ls-files", "--others", "--exclude-standard", "-z", limit=LISTING_BYTES)
    except GitFailed:
        return
    large = await asyncio.to_thread(_clear_within, context.workspace, ignored.split(b"\0"), new.split(b"\0"))
    if large:
        megabytes = artifacts.MAX_BYTES // 2**20
        message = f"The disk was full: {large} new files of more than {megabytes} MiB are not in what is kept."
        await context.attempt.notice(message)


def _clear_within(workspace: Path, ignored: Iterable[bytes], new: Iterable[bytes]) -> int:
    with git_folder.opened(workspace / "work") as work, work.below(REPO) as repo:
        _remove(repo.fd, ignored)
        large = [name for name in new if name and _size(repo, name) > artifacts.MAX_BYTES]
        _remove(repo.fd, large)
    return len(large)


def _size(repo: git_folder.Tree, name: bytes) -> int:
    status = repo.status(os.fsdecode(name))
    return status.st_size if status is not None and stat.S_ISREG(status.st_mode) else 0


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
