"""/repos/{owner}/{repo}/releases. Drafts are shown to those who may push, as on GitHub."""

from __future__ import annotations

from gitward_standin.access import may_write
from gitward_standin.clock import timestamp
from gitward_standin.model import Release, Repository
from gitward_standin.node_ids import encode
from gitward_standin.releases import latest
from gitward_standin.rest import represent
from gitward_standin.rest.call import Answer, Call, Json, not_found
from gitward_standin.rest.pages import page


async def index(call: Call) -> Answer:
    return page(call, [_release(call, release) for release in reversed(_visible(call, call.repository()))])


async def newest(call: Call) -> Answer:
    return _shown(call, latest(call.repository()))


async def by_tag(call: Call) -> Answer:
    tag = call.params["tag"]
    found = (release for release in call.repository().releases if release.tag == tag and not release.draft)
    return _shown(call, next(found, None))


async def get(call: Call) -> Answer:
    number = call.number()
    found = (release for release in _visible(call, call.repository()) if release.id == number)
    return _shown(call, next(found, None))


def _visible(call: Call, repository: Repository) -> list[Release]:
    writer = may_write(repository, call.identity)
    return [release for release in repository.releases if writer or not release.draft]


def _shown(call: Call, release: Release | None) -> Answer:
    if release is None:
        raise not_found()
    return Answer(payload=_release(call, release))


def _release(call: Call, release: Release) -> Json:
    repository, links = release.repository, call.site.links
    owner, name = repository.owner.login, repository.name
    url = links.api("repos", owner, name, "releases", release.id)
    return {
        "id": release.id,
        "node_id": encode("Release", repository.id, release.id),
        "url": url,
        "assets_url": f"{url}/assets",
        "upload_url": f"{url}/assets{{?name,label}}",
        "html_url": links.html(owner, name, "releases", "tag", release.tag),
        "tarball_url": links.api("repos", owner, name, "tarball", release.tag),
        "zipball_url": links.api("repos", owner, name, "zipball", release.tag),
        "tag_name": release.tag,
        "target_commitish": release.target or repository.default_branch,
        "name": release.name,
        "body": release.body,
        "draft": release.draft,
        "prerelease": release.prerelease,
        "immutable": False,
        "created_at": timestamp(release.created_at),
        "published_at": None if release.draft else timestamp(release.created_at),
        "author": represent.account(links, release.author),
        "assets": [],
    }
