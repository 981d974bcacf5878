"""Git LFS: git-lfs, with our configuration only, fetches, caches and uploads the objects of a tree's pointers.

A repository without LFS files costs nothing: `detection` reads files that exist anyway.
"""

from __future__ import annotations

LFS_DIR = "/gitward/lfs"  # where a sandbox sees the run's objects, read-only; git-lfs finds it beside OBJECTS_DIR


def filter_process(empty: str) -> str:
    """The command of git's filter `lfs`.

    :param empty: a folder without a `.lfsconfig`: git-lfs would read the one of the work tree, whatever it is.
    """
    return f"env GIT_WORK_TREE={empty} git-lfs filter-process"
