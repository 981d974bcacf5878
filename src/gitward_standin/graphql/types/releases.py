"""Releases."""

from __future__ import annotations

from gitward_standin import history
from gitward_standin.access import may_write
from gitward_standin.graphql.connections import empty, tables
from gitward_standin.graphql.tables import Tables, absent, attribute, moment, plain
from gitward_standin.graphql.types.git import Branch
from gitward_standin.graphql.visits import Visit
from gitward_standin.model import Release, Repository
from gitward_standin.node_ids import encode
from gitward_standin.releases import latest


def visible(visit: Visit, repository: Repository) -> list[Release]:
    """Drafts are shown to those who may push."""
    writer = may_write(repository, visit.viewer)
    return [release for release in repository.releases if writer or not release.draft]


async def _tag(_visit: Visit, release: Release) -> Branch | None:
    ref = f"refs/tags/{release.tag}"
    sha = await release.repository.resolve(ref)
    return Branch(repository=release.repository, ref=ref, sha=sha) if sha else None


async def _tag_commit(_visit: Visit, release: Release) -> history.Commit | None:
    return await history.commit(release.repository, f"refs/tags/{release.tag}")


def _url(visit: Visit, release: Release) -> str:
    return visit.url(release.repository.owner.login, release.repository.name, "releases", "tag", release.tag)


TABLES: Tables = {
    "Release": {
        **plain("name", "author", "repository"),
        "id": lambda _, release: encode("Release", release.repository.id, release.id),
        "databaseId": attribute("id"),
        "tagName": attribute("tag"),
        "description": attribute("body"),
        "isDraft": attribute("draft"),
        "isPrerelease": attribute("prerelease"),
        "isLatest": lambda _, release: latest(release.repository) is release,
        "createdAt": moment("created_at"),
        "publishedAt": lambda visit, release: None if release.draft else moment("created_at")(visit, release),
        "url": _url,
        "tag": _tag,
        "tagCommit": _tag_commit,
        "immutable": lambda _visit, _release: False,
        "releaseAssets": empty(),
    },
    "ReleaseAsset": absent("id", "name", "size", "downloadUrl"),
    **tables("Release", "ReleaseAsset"),
}
