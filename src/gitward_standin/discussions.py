"""Issues and pull requests, and what hangs on both: comments, labels, milestones, reviews."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from gitward_standin.accounts import Account, Team
from gitward_standin.clock import now

if TYPE_CHECKING:
    from gitward_standin.repositories import Repository


@dataclass(kw_only=True, eq=False)
class Label:
    repository: Repository = field(repr=False)
    id: int
    name: str
    color: str = "ededed"
    description: str | None = None
    created_at: datetime = field(default_factory=now)


@dataclass(kw_only=True, eq=False)
class Milestone:
    repository: Repository = field(repr=False)
    id: int
    number: int
    title: str
    description: str | None = None
    due_on: datetime | None = None
    state: str = "open"  # open or closed
    created_at: datetime = field(default_factory=now)


@dataclass(kw_only=True, eq=False)
class Comment:
    on: Discussion = field(repr=False)
    id: int
    author: Account
    body: str
    created_at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)

    @property
    def repository(self) -> Repository:
        return self.on.repository

    @property
    def html_url(self) -> str:
        return f"{self.on.html_url}#issuecomment-{self.id}"


@dataclass(kw_only=True, eq=False)
class Discussion:
    """What an issue and a pull request have in common. Both are numbered by one count."""

    repository: Repository = field(repr=False)
    id: int
    number: int
    title: str
    body: str | None
    author: Account
    state: str = "open"  # open or closed
    state_reason: str | None = None  # of an issue: completed, not_planned or reopened
    labels: list[str] = field(default_factory=list)
    assignees: list[Account] = field(default_factory=list)
    milestone: Milestone | None = None
    comments: list[Comment] = field(default_factory=list)
    created_at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)
    closed_at: datetime | None = None
    html_url: str = ""

    def close(self) -> None:
        self.state, self.closed_at, self.updated_at = "closed", now(), now()

    def reopen(self) -> None:
        self.state, self.closed_at, self.updated_at = "open", None, now()

    def label(self, *names: str) -> None:
        """Names as the repository spells them; those it has already are ignored."""
        self.labels += [name for name in dict.fromkeys(names) if name not in self.labels]
        self.updated_at = now()


@dataclass(kw_only=True, eq=False)
class Issue(Discussion):
    """An issue that is no pull request."""


@dataclass(kw_only=True, eq=False)
class Review:
    on: PullRequest = field(repr=False)
    id: int
    author: Account
    state: str  # approved, changes_requested or commented
    body: str
    commit: str
    submitted_at: datetime = field(default_factory=now)

    @property
    def repository(self) -> Repository:
        return self.on.repository

    @property
    def html_url(self) -> str:
        return f"{self.on.html_url}#pullrequestreview-{self.id}"


@dataclass(frozen=True, kw_only=True)
class AutoMerge:
    """The wish that a pull request be merged when it can be. The stand-in keeps it, and never acts on it."""

    method: str  # merge, squash or rebase
    by: Account
    since: datetime = field(default_factory=now)


@dataclass(kw_only=True, eq=False)
class PullRequest(Discussion):
    """A pull request from a branch of the same repository."""

    head: str  # branch
    base: str  # branch
    head_sha: str  # the last one seen; kept when the branch is deleted
    base_sha: str
    draft: bool = False
    reviewers: list[Account] = field(default_factory=list)
    teams: list[Team] = field(default_factory=list)  # whose review is requested
    reviews: list[Review] = field(default_factory=list)
    auto_merge: AutoMerge | None = None
    merged_at: datetime | None = None
    merged_by: Account | None = None
    merge_sha: str | None = None
