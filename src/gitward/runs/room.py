"""Makes room in a workspace whose disk is full, by removing what is no part of the work."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from gitward.runs import login
from gitward.runs.attempt import Attempt
from gitward.runs.commands import CHECKOUT_DIR, SAFE_GIT, Commands
from gitward.sandboxes import WORK_DIR
from gitward.sessions import artifacts

_LARGE = f"+{artifacts.MAX_BYTES // 1024}k"  # what is longer could not be kept anyhow
_SCANT_BYTES = 1024 * 1024
_NAMES_BYTES = 64 * 1024  # of large files that are looked at


async def is_full(workspace: Path) -> bool:
    """Whether the disk of the workspace has no room, however little of it is the workspace's."""
    try:
        return (await asyncio.to_thread(shutil.disk_usage, workspace)).free < _SCANT_BYTES
    except OSError:
        return False


async def make(attempt: Attempt, commands: Commands, workspace: Path) -> None:
    """Removes the home, what lies beside the checkout, what git ignores, and new files too long to be kept.

    Nothing of the run may be executing. The next run would remove all of it but what is beside the checkout.
    """
    await login.wipe(workspace)
    beside = ["find", WORK_DIR, "-mindepth", "1", "-maxdepth", "1", "!", "-path", CHECKOUT_DIR]
    await commands.make_room([*beside, "-exec", "rm", "-rf", "--", "{}", "+"])
    await commands.make_room([*SAFE_GIT, "clean", "--quiet", "-ffdX"])
    large = await commands.make_room(
        ["find", ".", "-name", ".git", "-prune", "-o", "-type", "f", "-size", _LARGE, "-printf", r"%P\0"]
    )
    names = [name.decode("utf-8", "surrogateescape") for name in large[:_NAMES_BYTES].split(b"\0")[:-1]]
    if not names:
        return
    listed = await commands.make_room([*SAFE_GIT, "--literal-pathspecs", "ls-files", "--others", "-z", "--", *names])
    new = [name.decode("utf-8", "surrogateescape") for name in listed.split(b"\0")[:-1]]
    if new:
        await commands.make_room(["rm", "-f", "--", *new])
        await attempt.notice(f"The disk was full: {len(new)} new files of more than 10 MiB are not in what is kept.")
