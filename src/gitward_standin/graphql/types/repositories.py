"""Repositories, and everything that is found below one."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from gitward_standin import history
from gitward_standin.access import may_write, role_of
from gitward_standin.accounts import Account, Role
from gitward_standin.clock import timestamp
from gitward_standin.graphql.connections import Connected, empty, ordered, tables
from gitward_standin.graphql.refusals import forbidden, not_found
from gitward_standin.graphql.tables import Tables, absent, attribute, fixed, moment, plain
from gitward_standin.graphql.types.discussions import filtered_issues, filtered_pulls
from gitward_standin.graphql.types.git import Branch, Protection
from gitward_standin.graphql.types.releases import visible as visible_releases
from gitward_standin.graphql.visits import Visit, found
from gitward_standin.model import Issue, Label, Milestone, PullRequest, Release, Repository
from gitward_standin.node_ids import encode
from gitward_standin.releases import latest

_PERMISSIONS = {Role.PULL: "READ", Role.PUSH: "WRITE"}  # the others have their own name


def permission(role: Role | None) -> str | None:
    return None if role is None else _PERMISSIONS.get(role, role.name)


def _pull(_visit: Visit, repository: Repository, *, number: int) -> PullRequest:
    return found(repository.pull(number), "PullRequest", f"the number of {number}")


def _issue(_visit: Visit, repository: Repository, *, number: int) -> Issue:
    return found(repository.issue(number), "Issue", f"the number of {number}")


def _either(_visit: Visit, repository: Repository, *, number: int) -> Issue | PullRequest:
    pull = repository.pull(number)
    return repository.issue(number) or found(pull, "issue or pull request", f"the number of {number}")


def _issues(
    visit: Visit,
    repository: Repository,
    *,
    states: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    filter_by: dict[str, Any] | None = None,
    order_by: dict[str, str] | None = None,
) -> list[Issue]:
    issues = repository.issues
    return filtered_issues(visit, issues, states=states, labels=labels, filter_by=filter_by, order_by=order_by)


# The schema has the arguments that a resolver names, so each connection names the filters again.
def _pulls(
    _visit: Visit,
    repository: Repository,
    *,
    states: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    head_ref_name: str | None = None,
    base_ref_name: str | None = None,
    order_by: dict[str, str] | None = None,
) -> list[PullRequest]:
    return filtered_pulls(
        repository.pulls,
        states=states,
        labels=labels,
        head_ref_name=head_ref_name,
        base_ref_name=base_ref_name,
        order_by=order_by,
    )


def _labels(
    _visit: Visit, repository: Repository, *, query: str | None = None, order_by: dict[str, str] | None = None
) -> list[Label]:
    matching = [label for label in repository.labels.values() if (query or "").lower() in label.name.lower()]
    return ordered(matching, order_by, NAME="name", CREATED_AT="id")


def _label(_visit: Visit, repository: Repository, *, name: str) -> Label | None:
    return repository.label(name)


def _milestones(
    _visit: Visit, repository: Repository, *, states: Sequence[str] | None = None, query: str | None = None
) -> list[Milestone]:
    milestones = [each for each in repository.milestones if not states or each.state.upper() in states]
    return [each for each in milestones if (query or "").lower() in each.title.lower()]


def _milestone(_visit: Visit, repository: Repository, *, number: int) -> Milestone | None:
    return next((each for each in repository.milestones if each.number == number), None)


def _releases(visit: Visit, repository: Repository, *, order_by: dict[str, str] | None = None) -> list[Release]:
    return ordered(visible_releases(visit, repository), order_by, CREATED_AT="id", NAME="name")


def _release(visit: Visit, repository: Repository, *, tag_name: str) -> Release | None:
    return next((each for each in visible_releases(visit, repository) if each.tag == tag_name), None)


async def _default_branch(_visit: Visit, repository: Repository) -> Branch | None:
    return await _branch(repository, f"refs/heads/{repository.default_branch}")


async def _ref(_visit: Visit, repository: Repository, *, qualified_name: str) -> Branch | None:
    """A name without refs/ is a branch."""
    full = qualified_name if qualified_name.startswith("refs/") else f"refs/heads/{qualified_name}"
    return await _branch(repository, full)


async def _branch(repository: Repository, ref: str) -> Branch | None:
    sha = await repository.resolve(ref)
    return Branch(repository=repository, ref=ref, sha=sha) if sha else None


async def _refs(_visit: Visit, repository: Repository, *, ref_prefix: str, query: str | None = None) -> list[Branch]:
    """`ref_prefix`: refs/heads/ or refs/tags/."""
    listed = await repository.refs(ref_prefix.rstrip("/"))
    branches = [Branch(repository=repository, ref=ref, sha=sha) for ref, sha in listed.items()]
    return [branch for branch in branches if (query or "").lower() in branch.name.lower()]


async def _object(
    _visit: Visit, repository: Repository, *, oid: str | None = None, expression: str | None = None
) -> object:
    return await history.read(repository, oid or expression or "")


async def _is_empty(_visit: Visit, repository: Repository) -> bool:
    return not await repository.branches()


def _collaborators(visit: Visit, repository: Repository) -> list[Account]:
    """Only those who may push see them, as on GitHub."""
    if not may_write(repository, visit.viewer):
        raise forbidden(visit.viewer, "collaborators")
    return _people(visit, repository)


def _assignable(visit: Visit, repository: Repository, *, query: str | None = None) -> list[Account]:
    return [who for who in _people(visit, repository) if (query or "").lower() in who.login.lower()]


def _people(visit: Visit, repository: Repository) -> list[Account]:
    owner = [repository.owner] if repository.owner.type == "User" else []
    return [*owner, *(visit.site.accounts.get(login) for login in repository.permissions)]


def _protections(_visit: Visit, repository: Repository) -> list[Protection]:
    return [Protection(repository=repository, pattern=branch) for branch in repository.protected]


def _clone_token(visit: Visit, repository: Repository) -> str | None:
    """On GitHub a short-lived token that clones the repository: a way to mint access. This one opens nothing."""
    return secrets.token_urlsafe(20) if repository.private and visit.sees(repository) else None


def _url(visit: Visit, repository: Repository) -> str:
    return visit.url(repository.owner.login, repository.name)


def _ssh_url(visit: Visit, repository: Repository) -> str:
    return f"git@{visit.site.links.host}:{repository.full_name}.git"


def _administers(visit: Visit, repository: Repository) -> bool:
    return role_of(repository, visit.viewer) is Role.ADMIN


def _project(_visit: Visit, _repository: Repository, *, number: int) -> None:
    raise not_found("ProjectV2", f"the number {number}")


_SETTINGS = {
    **fixed(is_fork=False, is_mirror=False, is_template=False, is_disabled=False, is_locked=False, mirror_url=None),
    **fixed(has_wiki_enabled=False, has_projects_enabled=True, has_discussions_enabled=False, homepage_url=None),
    **fixed(merge_commit_allowed=True, rebase_merge_allowed=True, squash_merge_allowed=True, auto_merge_allowed=True),
    **fixed(delete_branch_on_merge=False, forking_allowed=True, is_blank_issues_enabled=True),
    **fixed(is_user_configuration_repository=False, is_security_policy_enabled=False, security_policy_url=None),
    **fixed(
        fork_count=0, stargazer_count=0, disk_usage=0, viewer_has_starred=False, viewer_subscription="UNSUBSCRIBED"
    ),
    **fixed(viewer_default_merge_method="MERGE", viewer_default_commit_email=None, viewer_possible_commit_emails=()),
    **fixed(uses_custom_open_graph_image=False, open_graph_image_url="https://opengraph.githubassets.com/1/image"),
    **fixed(archived_at=None, parent=None, template_repository=None, license_info=None, code_of_conduct=None),
    **fixed(primary_language=None, contact_links=(), funding_links=(), issue_templates=(), pull_request_templates=()),
}

TABLES: Tables = {
    "Repository": {
        **_SETTINGS,
        **plain("name", "owner", "description"),
        "id": lambda _, repository: encode("Repository", repository.id),
        "databaseId": attribute("id"),
        "nameWithOwner": attribute("full_name"),
        "url": _url,
        "resourcePath": lambda _, repository: f"/{repository.full_name}",
        "sshUrl": _ssh_url,
        "isPrivate": attribute("private"),
        "visibility": lambda _, repository: "PRIVATE" if repository.private else "PUBLIC",
        "isArchived": attribute("archived"),
        "isEmpty": _is_empty,
        "isInOrganization": lambda _, repository: repository.owner.type == "Organization",
        "hasIssuesEnabled": attribute("issues_enabled"),
        "createdAt": moment("created_at"),
        "updatedAt": moment("pushed_at"),
        "pushedAt": lambda _, repository: timestamp(repository.pushed_at),
        "viewerPermission": lambda visit, repository: permission(role_of(repository, visit.viewer)),
        "viewerCanAdminister": _administers,
        "defaultBranchRef": _default_branch,
        "ref": _ref,
        "refs": Connected(_refs),
        "object": _object,
        "branchProtectionRules": Connected(_protections),
        "pullRequest": _pull,
        "pullRequests": Connected(_pulls),
        "issue": _issue,
        "issues": Connected(_issues),
        "issueOrPullRequest": _either,
        "label": _label,
        "labels": Connected(_labels),
        "milestone": _milestone,
        "milestones": Connected(_milestones),
        "release": _release,
        "releases": Connected(_releases),
        "latestRelease": lambda _, repository: latest(repository),
        "assignableUsers": Connected(_assignable),
        "mentionableUsers": Connected(_assignable),
        "collaborators": Connected(_collaborators),
        "deployKeys": empty(),
        "forks": empty(),
        "watchers": empty(),
        "languages": empty("orderBy"),
        "repositoryTopics": empty(),
        "projects": empty("states", "search", "orderBy"),
        "projectsV2": empty("query", "orderBy"),
        "projectV2": _project,
        "tempCloneToken": _clone_token,
    },
    "CodeOfConduct": absent("id", "key", "name", "url"),
    "DeployKey": absent("id", "key", "title"),
    "FundingLink": absent("platform", "url"),
    "IssueTemplate": absent("name", "title", "body", "about"),
    "Language": absent("id", "name", "color"),
    "License": absent("id", "key", "name", "nickname", "spdxId"),
    "PullRequestTemplate": absent("filename", "body"),
    "RepositoryContactLink": absent("name", "about", "url"),
    "RepositoryTopic": absent("id", "topic", "url", "resourcePath"),
    "Topic": absent("id", "name"),
    **tables("Repository", "DeployKey", "Language", "RepositoryTopic", edges={"Language": absent("size")}),
    **{f"RepositoryCollaborator{part}": tables("User")[f"User{part}"] for part in ("Connection", "Edge")},
}
