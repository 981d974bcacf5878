"""The folders of a session's workspace that hold its repository's objects: of git, and of LFS."""

from __future__ import annotations

from pathlib import Path

from gitward.repositories import OBJECTS_DIR
from gitward.repositories.lfs import LFS_DIR
from gitward.sandboxes import Shown


def shown_objects(workspace: Path) -> list[Shown]:
    """What each sandbox of a run sees of the repository, and cannot change: objects of git, and of LFS. Blocks."""
    return [
        Shown(host=objects_folder(workspace), inside=OBJECTS_DIR),
        Shown(host=lfs_folder(workspace), inside=LFS_DIR),
    ]


def lfs_folder(workspace: Path) -> Path:
    """Where the LFS objects that a session's run needs lie. Blocks."""
    folder = workspace / "lfs"
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    return folder


def objects_folder(workspace: Path) -> Path:
    """Where the snapshot of a session's run lies. Blocks."""
    folder = workspace / "objects"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
