"""Makes room in a workspace whose disk is full, by removing what is no part of the work."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

from gitward.errors import Reason, RunFailure
from gitward.repositories import foreign_folder
from gitward.repositories.checkout import REPO
from gitward.repositories.git import LISTING_BYTES, GitFailed
from gitward.runs.access import gh_login
from gitward.runs.context import Context
from gitward.runs.publishing.result_sandbox import ResultSandbox
from gitward.runs.storage import removable_files
from gitward.sessions import artifacts
from gitward.store import disk


async def fault(workspace: Path) -> str | None:
    """Why nothing can be written on the disk of the workspace, however little of it is the workspace's: "is full" …"""
    return await asyncio.to_thread(_fault, workspace)


def _fault(workspace: Path) -> str | None:
    return "is full" if disk.is_low(workspace) else disk.refusal(workspace)


def failure_of(error: OSError) -> RunFailure:
    """How a run ends when the worker itself could not write for it.

    :raises OSError: the error is about something else.
    """
    found = disk.fault_of(error)
    if found is None:
        raise error
    return RunFailure(Reason.SANDBOX_FAILED, f"The disk of the workspaces {found}: {os.strerror(error.errno or 0)}.")


async def clear(context: Context) -> None:
    """Removes the home, the caches, all that lies beside the checkout, and new files too long to be kept.

    The last are counted in a notice. Nothing of the run may be executing. No command is needed: there may be no room
    for a sandbox.
    """
    await gh_login.wipe(context.workspace)
    large = await asyncio.to_thread(removable_files.clear_workspace, context.workspace)
    if large:
        megabytes = artifacts.MAX_BYTES // 2**20
        message = f"The disk was full: {large} new files of more than {megabytes} MiB are not kept."
        await context.attempt.notice(message)


async def clear_ignored(context: Context, result_sandbox: ResultSandbox) -> None:
    """Removes what git ignores."""
    arguments = ("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
    try:
        ignored = await result_sandbox.result.tree.do(*arguments, limit=LISTING_BYTES)
    except GitFailed:
        return
    await asyncio.to_thread(_clear_ignored, context.workspace, ignored.split(b"\0"))


def _clear_ignored(workspace: Path, ignored: Iterable[bytes]) -> None:
    with foreign_folder.opened(workspace / "work") as work, work.below(REPO) as repo:
        removable_files.remove_below(repo.fd, ignored)
