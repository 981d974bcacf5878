"""Removes workspaces. Links and mounts of foreign code in them lead nowhere else, and end with them."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from gitward.sandboxes import foreign_folders, workspace_lock

_PREFIX = "removing-"


def set_aside(workspace: Path) -> Path | None:
    """Gives a workspace another name, at once: whoever opens it from now on makes a new one.

    The caller sees to it that no run of it can begin in this moment. None when there is no such workspace.
    """
    aside = workspace.with_name(f"{_PREFIX}{secrets.token_hex(8)}")
    try:
        os.rename(workspace, aside)
    except FileNotFoundError:
        return None
    return aside


def is_aside(workspace: Path) -> bool:
    """Whether it waits for `remove`, perhaps since a worker that was killed."""
    return workspace.name.startswith(_PREFIX)


def remove(aside: Path) -> None:
    """Ends the processes that a lost worker may have left in it, and removes it. Blocks, for long if it is large."""
    os.close(workspace_lock.acquire(aside))
    foreign_folders.clear(aside)
    with contextlib.suppress(FileNotFoundError):
        aside.rmdir()
