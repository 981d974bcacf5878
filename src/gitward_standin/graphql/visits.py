"""One request as the tables see it: the site, who asks, and what that sender may see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from gitward_standin.access import visible
from gitward_standin.accounts import Identity
from gitward_standin.graphql.refusals import not_found, sso_required
from gitward_standin.model import Repository
from gitward_standin.site import Site

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Visit:
    """A request of one sender."""

    site: Site
    viewer: Identity

    def sees(self, repository: Repository) -> bool:
        return visible(repository, self.viewer) and not self.viewer.token.sso_required

    def seen(self, repositories: Iterable[Repository]) -> list[Repository]:
        return [repository for repository in repositories if self.sees(repository)]

    def repository(self, full_name: str) -> Repository:
        """Raises GitHub's refusals."""
        repository = self.site.follow_repository(full_name)
        if repository is None or not visible(repository, self.viewer):
            raise not_found("Repository", f"the name '{full_name}'")
        if self.viewer.token.sso_required:
            raise sso_required()
        return repository

    def url(self, *parts: str | int) -> str:
        return self.site.links.html(*parts)


def found(thing: T | None, what: str, by: str) -> T:
    """The thing. Raises NOT_FOUND for None."""
    if thing is None:
        raise not_found(what, by)
    return thing
