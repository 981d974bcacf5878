"""/repos/{owner}/{repo}: the repository and its branches."""

from __future__ import annotations

from gitward_standin import history
from gitward_standin.access import may_write, role_of
from gitward_standin.accounts import Role, TokenKind
from gitward_standin.model import Repository
from gitward_standin.rest import represent
from gitward_standin.rest.call import Answer, ApiError, Call, Json, inaccessible
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


async def collaborator_permission(call: Call) -> Answer:
    """Told to those who may push. Maintain counts as write, triage as read; whoever may see a public one may read."""
    sender, repository = call.sender(), call.repository()
    asked = call.site.accounts.find(call.params["login"])
    if not may_write(repository, sender):
        if sender.token.kind is TokenKind.CLASSIC:
            raise ApiError(403, "Must have push access to view collaborator permission.")
        raise inaccessible(sender)
    if asked is None:
        raise ApiError(404, "Not Found")
    role = repository.role(asked) or (None if repository.private else Role.PULL)
    names = {Role.PULL: "read", Role.TRIAGE: "read", Role.PUSH: "write", Role.MAINTAIN: "write", Role.ADMIN: "admin"}
    own = {Role.PULL: "read", Role.TRIAGE: "triage", Role.PUSH: "write", Role.MAINTAIN: "maintain", Role.ADMIN: "admin"}
    user = represent.account(call.site.links, asked)
    rights = represent.permissions(role) if role else dict.fromkeys(represent.permissions(Role.PULL), False)
    shown = {
        "permission": names[role] if role else "none",
        "user": {**user, "permissions": rights, "role_name": own[role] if role else ""},
        "role_name": own[role] if role else "none",
    }
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
