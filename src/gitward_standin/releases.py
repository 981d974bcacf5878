"""Releases and their files."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from gitward_standin.accounts import Account
from gitward_standin.clock import now

if TYPE_CHECKING:
    from gitward_standin.repositories import Repository


@dataclass(kw_only=True, eq=False)
class Release:
    repository: Repository = field(repr=False)
    id: int
    tag: str
    name: str
    body: str
    author: Account
    draft: bool = False
    prerelease: bool = False
    target: str = ""  # what the tag was made from: a branch or a commit
    created_at: datetime = field(default_factory=now)


def latest(repository: Repository) -> Release | None:
    """The newest one that is neither a draft nor a pre-release."""
    published = [release for release in repository.releases if not release.draft and not release.prerelease]
    return published[-1] if published else None
