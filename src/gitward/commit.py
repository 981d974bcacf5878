"""The commit that this program was made from. It needs the standard library alone: the wheel's build reads it too."""

from __future__ import annotations

import subprocess
from pathlib import Path

UNKNOWN = "unknown"
FILE_NAME = "commit.txt"  # beside this module, in a wheel and in a source archive
_SECONDS = 10.0
_DESCRIBE = ("--no-optional-locks", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
# Nothing of the caller's: GIT_DIR would lead to another repository.
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CEILING_DIRECTORIES": "/"}


def commit() -> str:
    """As noted when the wheel was built; in a checkout, as git says, with `-dirty` when files differ; or `unknown`."""
    here = Path(__file__)
    try:
        noted = here.with_name(FILE_NAME).read_text().strip()
    except OSError:
        return of_checkout(here.parents[2])
    return noted or UNKNOWN


def of_checkout(root: Path) -> str:
    """What git says of this folder, not of one above it."""
    if not (root / ".git").exists():
        return UNKNOWN
    try:
        told = subprocess.run(
            ("git", "-C", str(root), *_DESCRIBE),
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN
    return told.stdout.strip() or UNKNOWN
