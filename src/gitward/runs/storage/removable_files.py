"""Files that nobody would miss when the disk is full: what can be fetched again, or is no part of anybody's work.

Everything here blocks.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from gitward.repositories import baseline, checkout, foreign_folder
from gitward.repositories.checkout import REPO
from gitward.repositories.mirrors.collection import MirrorCollection
from gitward.sandboxes import foreign_folders, workspace_lock, workspace_removal
from gitward.sessions import artifacts
from gitward.store import disk

log = logging.getLogger(__name__)

_DEEPEST = 50  # folders in folders that are looked into


def make_room(data: Path) -> None:
    """Before anything else of a worker is started: makes room on a full disk; nothing of anybody's work goes.

    The caller has the data folder for itself.
    """
    if not disk.is_low(data):
        return
    log.error("The disk of %s is full: removing what can be fetched again", data)
    for measure in (_clear_leftovers, _clear_unfinished, _clear_workspaces, _drop_mirrors):
        measure(data)
        if not disk.is_low(data):
            log.warning("The disk of %s has room again", data)
            return
    log.error("Nothing more can be removed from %s: make room on its disk", data)


def _clear_leftovers(data: Path) -> None:
    for workspace in _workspaces(data / "workspaces"):
        for place in [workspace] if workspace_removal.is_aside(workspace) else checkout.leftovers(workspace):
            _try(foreign_folders.clear, place)


def _clear_unfinished(data: Path) -> None:
    for name in ("making", "pushes"):
        if (data / name).is_dir():
            _try(foreign_folders.clear, data / name)
            _try(os.chmod, data / name, 0o711)


def _clear_workspaces(data: Path) -> None:
    """In what a lost worker left behind, the work that is not kept yet stays."""
    for workspace in _workspaces(data / "workspaces"):
        with contextlib.suppress(OSError):  # else there is no room for a claim: whoever was there ended with its worker
            os.close(workspace_lock.acquire(workspace))
        if baseline.find(workspace) is not None:
            _try(clear_workspace, workspace)
        else:
            for name in ("work", "home", "objects", "result", "lfs"):
                if (workspace / name).is_dir():
                    _try(foreign_folders.clear, workspace / name)


def _drop_mirrors(data: Path) -> None:
    MirrorCollection(data / "mirrors").evict(0, ())


def clear_idle(workspaces: Path, busy: Collection[Path]) -> bool:
    """Removes the caches of sessions that have no run; whether there was any."""
    found = False
    for workspace in _workspaces(workspaces):
        cache = workspace / "work" / checkout.CACHE
        if workspace in busy or baseline.find(workspace) is not None or not cache.is_dir() or cache.is_symlink():
            continue
        if any(cache.iterdir()):
            _try(foreign_folders.clear, cache)
            found = True
    return found


def clear_workspace(workspace: Path) -> int:
    """Removes what lies beside the checkout, and new files too long to be kept: how many of those. Blocks."""
    for aside in checkout.leftovers(workspace):
        checkout.remove(aside)
    with foreign_folder.opened(workspace / "work") as work:
        remove_below(work.fd, [name.encode() for name, _ in work.names("") if name != REPO])
        return _clear_large(workspace, work)


def _clear_large(workspace: Path, work: foreign_folder.Tree) -> int:
    """Removes files that the index of the baseline does not name; those that it names stay whatever their size."""
    try:
        known = baseline.index_path(workspace).read_bytes()
        with work.below(REPO) as repo:
            large = [name for name in _large_files(repo, "") if os.fsencode(name) + b"\0" not in known]
            remove_below(repo.fd, [os.fsencode(name) for name in large])
    except OSError:  # there is no checkout any more, or it has no index
        return 0
    return len(large)


def _large_files(repo: foreign_folder.Tree, folder: str) -> Iterator[str]:
    for name, is_folder in repo.names(folder):
        path = f"{folder}/{name}" if folder else name
        if path == ".git":
            continue
        if is_folder:
            yield from _large_files(repo, path) if path.count("/") < _DEEPEST else ()
        elif _size(repo, path) > artifacts.MAX_BYTES:
            yield path


def _size(repo: foreign_folder.Tree, path: str) -> int:
    status = repo.status(path)
    return status.st_size if status is not None and stat.S_ISREG(status.st_mode) else 0


def remove_below(root: int, names: Iterable[bytes]) -> None:
    """Removes files and folders below a folder; no link on the way is followed."""
    tree = foreign_folder.Tree(fd=root)
    for name in names:
        path = os.fsdecode(name.rstrip(b"/"))
        status = tree.status(path) if path else None
        if status is None:
            continue
        with contextlib.suppress(OSError), tree.parent(path) as (folder, last):
            if stat.S_ISDIR(status.st_mode):
                foreign_folders.clear(Path(f"/proc/self/fd/{folder}/{last}"))
                os.rmdir(last, dir_fd=folder)
            else:
                os.unlink(last, dir_fd=folder)


def _workspaces(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError):
        yield from sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())


def _try(measure: Callable[..., Any], *arguments: Any) -> None:
    """What cannot be removed keeps nobody from removing the rest."""
    try:
        measure(*arguments)
    except (OSError, workspace_lock.StillAlive) as error:
        log.warning("%s cannot be removed: %s", arguments[0], error)
