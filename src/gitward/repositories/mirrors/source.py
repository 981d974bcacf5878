"""The source of a mirror, and the ways in which fetching it fails."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from urllib.parse import urlsplit

from gitward.broker import OpenGrant
from gitward.errors import GitwardError

_KEY = re.compile(r"[a-z0-9._-]+-[0-9]{1,20}")
Tell = Callable[[str], Awaitable[None]]  # a sentence, for the session's log


@dataclass(frozen=True, kw_only=True)
class Source:
    """A repository that the caller's token may read: its preflight has just seen that."""

    server_url: str  # as the sandbox sees it: "https://github.com"
    repository_id: int  # GitHub's: a name may come to mean another repository, and forks share no mirror
    full_name: str  # "owner/name" as GitHub spells it
    size_kib: int = 0  # as GitHub says; 0: not known
    open_grant: Callable[[], AbstractAsyncContextManager[OpenGrant]]  # may only fetch; lives on when the run has ended

    @property
    def key(self) -> str:
        """The name of its mirror's folder."""
        return key_of(self.server_url, self.repository_id)

    @property
    def url(self) -> str:
        return f"{self.server_url}/{self.full_name}.git"


def key_of(server_url: str, repository_id: int) -> str:
    host = urlsplit(server_url).netloc.lower()
    readable = re.sub(r"[^a-z0-9.-]", "_", host)[:60]
    mark = "" if readable == host else "-" + hashlib.sha256(host.encode()).hexdigest()[:8]
    return f"{readable}{mark}-{repository_id}"


def is_key(name: str) -> bool:
    """Whether a mirror's folder may have this name."""
    return _KEY.fullmatch(name) is not None


class FetchFailed(GitwardError):
    """The repository could not be fetched: GitHub, the network, the token, or a limit is why."""

    def __init__(self, tail: str, *, limit: str | None = None) -> None:
        super().__init__(tail)
        self.tail = tail  # the last lines of what git printed; for a person, and to be classified
        self.limit = limit  # "disk", "memory" or "time", when the fetch reached a limit of ours


class MirrorUnusable(GitwardError):
    """The mirror is at fault: the run goes on without it. The text says why."""


class MirrorDamaged(MirrorUnusable):
    """What lies in the mirror's folder is not what was put there."""


class MirrorChanged(MirrorUnusable):
    """The mirror was removed or made anew in the meantime."""
