"""The programs that a run needs on this machine, and which Debian package has each."""

from __future__ import annotations

import shutil

PACKAGES = {"git": "git", "gh": "gh", "git-lfs": "git-lfs", "bwrap": "bubblewrap"}  # by program


def missing() -> str | None:
    """A sentence with all that are not on the search path, and how to get them; None when all are."""
    absent = [program for program in PACKAGES if shutil.which(program) is None]
    if not absent:
        return None
    verb = "is" if len(absent) == 1 else "are"
    packages = " ".join(PACKAGES[program] for program in absent)
    return f"{', '.join(absent)} {verb} not installed; on Debian: apt-get install {packages}"
