"""/repos/{owner}/{repo}: the repository, its branches and refs."""

from __future__ import annotations

from gitward.standin.accounts import Identity, TokenKind
from gitward.standin.repositories import Repository, Role, may_write
from gitward.standin.rest import represent
from gitward.standin.rest.call import Answer, ApiError, Call, Json, not_found
from gitward.standin.rest.pages import page
from gitward.standin.site import node_id

EMPTY = "Git Repository is empty."


def role(repository: Repository, identity: Identity | None) -> Role | None:
    """What `permissions` tells: the role of the user, not of the token; an App's bot has the App's rights."""
    if identity is None:
        return None
    if identity.token.kind is TokenKind.APP:
        return Role.PUSH if may_write(repository, identity) else Role.PULL
    return repository.role(identity.account)


async def get(call: Call) -> Answer:
    repository = call.repository()
    shown = represent.repository(call.site.links, repository, role(repository, call.identity))
    parent = represent.account(call.site.links, repository.owner)
    return Answer(payload=shown | ({"organization": parent} if repository.owner.type == "Organization" else {}))


async def branches(call: Call) -> Answer:
    repository = call.repository()
    found = await repository.branches()
    return page(call, [_branch(call, repository, name, sha) for name, sha in sorted(found.items())])


async def branch(call: Call) -> Answer:
    repository, name = call.repository(), call.params["branch"]
    sha = await repository.head(name)
    if sha is None:
        raise ApiError(404, "Branch not found")
    shown = _branch(call, repository, name, sha)
    shown["commit"]["commit"] = await _commit(call, repository, sha)
    shown["_links"] = {"self": _url(call, repository, "branches", name), "html": _tree(call, repository, name)}
    return Answer(payload=shown)


async def ref(call: Call) -> Answer:
    """git/ref/{ref}: the one ref of exactly this name."""
    repository, name = call.repository(), f"refs/{call.params['ref']}"
    if not await repository.branches():
        raise ApiError(409, EMPTY)
    sha = await repository.resolve(name)
    if sha is None or not name.startswith(("refs/heads/", "refs/tags/", "refs/pull/")):
        raise not_found()
    return Answer(
        payload={
            "ref": name,
            "node_id": node_id("REF", repository.id),
            "url": _url(call, repository, "git", name),
            "object": {"sha": sha, "type": "commit", "url": _url(call, repository, "git", "commits", sha)},
        }
    )


def _branch(call: Call, repository: Repository, name: str, sha: str) -> Json:
    protected = name in repository.protected
    checks = {"enforcement_level": "off", "contexts": [], "checks": []}
    return {
        "name": name,
        "commit": {"sha": sha, "url": _url(call, repository, "commits", sha)},
        "protected": protected,
        "protection": {"enabled": protected, "required_status_checks": checks},
        "protection_url": f"{_url(call, repository, 'branches', name)}/protection",
    }


async def _commit(call: Call, repository: Repository, sha: str) -> Json:
    fields = "%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%T%x00%B"
    text = (await repository.git.run("show", "--no-patch", f"--format={fields}", sha, cwd=repository.path)).decode()
    name, email, date, other, other_email, other_date, tree, message = text.split("\0", 7)
    return {
        "author": {"name": name, "email": email, "date": date},
        "committer": {"name": other, "email": other_email, "date": other_date},
        "message": message.strip(),
        "tree": {"sha": tree, "url": _url(call, repository, "git", "trees", tree)},
        "url": _url(call, repository, "git", "commits", sha),
        "comment_count": 0,
    }


def _url(call: Call, repository: Repository, *parts: str) -> str:
    return call.site.links.api("repos", repository.owner.login, repository.name, *parts)


def _tree(call: Call, repository: Repository, name: str) -> str:
    return call.site.links.html(repository.owner.login, repository.name, "tree", name)
