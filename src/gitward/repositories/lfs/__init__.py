"""Git LFS: what a tree's pointers stand for, fetched, cached and uploaded by git-lfs with our configuration alone.

A repository that has no LFS file costs nothing here: `detection` looks at files that lie there anyway.
"""

from __future__ import annotations

LFS_DIR = "/gitward/lfs"  # where a sandbox sees the run's objects, read-only; git-lfs finds it beside OBJECTS_DIR


def filter_process(empty: str) -> str:
    """The command of git's filter `lfs`.

    :param empty: a folder without a `.lfsconfig`: git-lfs would read the one of the work tree, whatever it is.
    """
    return f"env GIT_WORK_TREE={empty} git-lfs filter-process"
