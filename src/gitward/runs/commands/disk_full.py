"""Commands of our own inside that failed for want of room: that is the worker's fault, not the token's or GitHub's."""

from __future__ import annotations

import re

from gitward.errors import Reason, RunFailure
from gitward.repositories.git import CommandResult

# The C library's words for ENOSPC, EDQUOT and EROFS, as git, git-lfs and gh print them.
_NO_ROOM = re.compile(r"no space left on device|disk quota exceeded|read-only file system", re.IGNORECASE)
_OF_GITHUB = ("remote: ", "[remote rejected]")  # in a line that is the server's
_BETWEEN = re.compile(r"\n| / ")  # the lines of a tail


def named(failure: RunFailure, ended: CommandResult) -> RunFailure:
    """`failure`, or `sandbox_failed` with the same message, when that is what the command's last words are about."""
    lines = [line for line in _BETWEEN.split(ended.tail) if not any(mark in line for mark in _OF_GITHUB)]
    if not any(_NO_ROOM.search(line) for line in lines):
        return failure
    return RunFailure(Reason.SANDBOX_FAILED, failure.message, exit_code=failure.exit_code, head_sha=failure.head_sha)
