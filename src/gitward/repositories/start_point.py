"""Where a run starts: the commits that its work is compared with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

_HEADS = "refs/heads/"
_LINE = re.compile(rb"^(?:[0-9a-f]{40}|[0-9a-f]{64}) refs/heads/", re.MULTILINE)


class Upstream(Protocol):
    """The heads and tags of the repository at GitHub, as a snapshot has them."""

    @property
    def raw(self) -> bytes:
        """In the form of git's packed-refs: sorted, peeled."""
        ...

    def get(self, name: str) -> str | None:
        """The object that a full ref name stands for."""
        ...


@dataclass(frozen=True, kw_only=True)
class StartPoint:
    """Where the session's branch begins in this run."""

    branch: str  # the session's
    target_branch: str
    sha: str  # that HEAD stands on
    target_sha: str  # of the target branch, upstream
    branch_sha: str | None  # of the session's branch, upstream; None: it is not there

    @property
    def follows(self) -> bool:
        """Whether the run continues work that was pushed before."""
        return self.sha != self.target_sha

    @property
    def left_behind(self) -> str | None:
        """Where the branch stands upstream, when the run does not go on from there."""
        return self.branch_sha if self.branch_sha != self.sha else None


def remote_refs(raw: bytes) -> bytes:
    """Packed refs of a mirror as those of a clone: heads become remote-tracking branches. Tags stay."""
    lines = raw.split(b"\n", 1)
    body = lines[1] if raw.startswith(b"#") and len(lines) == 2 else raw
    return _LINE.sub(lambda match: match[0].replace(b"refs/heads/", b"refs/remotes/origin/"), body)
