"""Removes named pipes that a command left: git would read one and wait for a writer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from pathlib import Path

from gitward.repositories import foreign_folder
from gitward.repositories.checkout import CACHE_DIR
from gitward.repositories.git import LISTING_BYTES, Runner
from gitward.sandboxes import WORK_DIR

_FIND = ("find", WORK_DIR, "-path", CACHE_DIR, "-prune", "-o", "-type", "p", "-print0")
# Where git reads: a pipe there costs it all the time it has.
_FIND_READ = (*_FIND[:-1], "(", "-name", ".git*", "-o", "-path", "*/.git/*", ")", "-print0", "-quit")


async def in_the_way(runner: Runner) -> str | None:
    """One that git would read, in a tree in which a program is alive: nothing is removed there."""
    ended = await runner.capture(_FIND_READ, limit=LISTING_BYTES, cwd="/")
    return os.fsdecode(ended.output.split(b"\0")[0]).removeprefix(f"{WORK_DIR}/") or None


async def remove(runner: Runner, workspace: Path) -> None:
    """They are never work. Nothing of the run may be alive; folders that cannot be read have none that git reads."""
    ended = await runner.capture(_FIND, limit=LISTING_BYTES, cwd="/")
    names = [os.fsdecode(name).removeprefix(f"{WORK_DIR}/") for name in ended.output.split(b"\0") if name]
    if names:
        await asyncio.to_thread(_remove, workspace / "work", names)


def _remove(work: Path, names: list[str]) -> None:
    with contextlib.suppress(OSError), foreign_folder.opened(work) as root:
        for name in names:
            with contextlib.suppress(OSError), root.parent(name) as (folder, last):
                if stat.S_ISFIFO(os.stat(last, dir_fd=folder, follow_symlinks=False).st_mode):
                    os.unlink(last, dir_fd=folder)
