"""/repos/{owner}/{repo}: the repository and its branches."""

from __future__ import annotations

from gitward_standin import history
from gitward_standin.access import role_of
from gitward_standin.model import Repository
from gitward_standin.rest import represent
from gitward_standin.rest.call import Answer, ApiError, Call, Json
from gitward_standin.rest.commits import git_commit
from gitward_standin.rest.pages import page


async def get(call: Call) -> Answer:
    repository = call.repository()
    shown = represent.repository(call.site.links, repository, role_of(repository, call.identity))
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
    found = await history.commit(repository, sha)
    assert found is not None
    shown["commit"]["commit"] = git_commit(call, found)
    shown["_links"] = {"self": _url(call, repository, "branches", name), "html": _tree(call, repository, name)}
    return Answer(payload=shown)


async def rules(call: Call) -> Answer:
    """The rules of active rulesets for a branch, which need not exist. Classic protection is not among them."""
    repository, branch = call.repository(), call.params["branch"]
    shown = [
        {
            "type": rule.type,
            **({"parameters": dict(rule.parameters)} if rule.parameters else {}),
            "ruleset_source_type": "Repository",
            "ruleset_source": repository.full_name,
            "ruleset_id": rule.ruleset,
        }
        for rule in repository.rules
        if rule.applies_to(branch)
    ]
    return page(call, shown)


def _branch(call: Call, repository: Repository, name: str, sha: str) -> Json:
    protected = repository.is_protected(name)
    checks = {"enforcement_level": "off", "contexts": [], "checks": []}
    return {
        "name": name,
        "commit": {"sha": sha, "url": _url(call, repository, "commits", sha)},
        "protected": protected,
        "protection": {"enabled": protected, "required_status_checks": checks},
        "protection_url": f"{_url(call, repository, 'branches', name)}/protection",
    }


def _url(call: Call, repository: Repository, *parts: str) -> str:
    return call.site.links.api("repos", repository.owner.login, repository.name, *parts)


def _tree(call: Call, repository: Repository, name: str) -> str:
    return call.site.links.html(repository.owner.login, repository.name, "tree", name)
