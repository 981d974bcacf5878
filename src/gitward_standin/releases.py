"""Which release is the latest."""

from __future__ import annotations

from gitward_standin.model import Release, Repository


def latest(repository: Repository) -> Release | None:
    """The newest one that is neither a draft nor a pre-release."""
    published = [release for release in repository.releases if not release.draft and not release.prerelease]
    return published[-1] if published else None
