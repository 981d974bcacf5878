"""Finds what a global node id stands for, as far as the viewer may see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from gitward_standin import checks, history
from gitward_standin.graphql.types.checks import suite_of, suite_of_run
from gitward_standin.graphql.types.git import Branch
from gitward_standin.graphql.visits import Visit
from gitward_standin.model import Discussion, Repository
from gitward_standin.node_ids import Key, Part, decode

_ACCOUNTS = ("User", "Organization", "Bot")


async def find_node(visit: Visit, node_id: str) -> object | None:
    """The object of an id, of the new form or the old; None: unknown, or not for the viewer's eyes."""
    key = decode(node_id)
    if key is None:
        return None
    if key.typename in _ACCOUNTS:
        account = visit.site.accounts.find_by_id(int(key.parts[0]))
        return account if account and account.type == key.typename else None
    if key.typename == "Team":
        teams = (team for who in visit.site.accounts.all for team in visit.site.accounts.teams(who))
        return next((team for team in teams if team.id == key.parts[-1]), None)
    return await _in_repositories(visit, key)


async def _in_repositories(visit: Visit, key: Key) -> object | None:
    """In the repository that the id names; an id of the old form names none, so all are looked through."""
    named = key.typename == "Repository" or len(key.parts) > 1
    for repository in visit.seen(visit.site.repositories):
        if named and repository.id != key.parts[0]:
            continue
        node = await _within(repository, key.typename, key.parts[-1])
        if node is not None:
            return node
    return None


async def _within(repository: Repository, typename: str, own: Part) -> object | None:
    if typename == "Repository":
        return repository
    if typename == "Ref":
        sha = await repository.resolve(str(own))
        return Branch(repository=repository, ref=str(own), sha=sha) if sha else None
    if typename in ("Commit", "Tree", "Blob"):
        return await history.read(repository, str(own))
    if typename == "StatusCheckRollup":
        return checks.rollup(repository, str(own))
    listed = _LISTS.get(typename)
    return next((each for each in listed(repository) if each.id == own), None) if listed else None


def _discussions(repository: Repository) -> list[Discussion]:
    return [*repository.issues, *repository.pulls]


_LISTS: dict[str, Callable[[Repository], Iterable[Any]]] = {
    "Issue": lambda repository: repository.issues,
    "PullRequest": lambda repository: repository.pulls,
    "IssueComment": lambda repository: (comment for each in _discussions(repository) for comment in each.comments),
    "PullRequestReview": lambda repository: (review for pull in repository.pulls for review in pull.reviews),
    "Label": lambda repository: repository.labels.values(),
    "Milestone": lambda repository: repository.milestones,
    "Release": lambda repository: repository.releases,
    "Workflow": lambda repository: repository.workflows,
    "WorkflowRun": lambda repository: repository.runs,
    "CheckRun": lambda repository: repository.check_runs,
    "StatusContext": lambda repository: repository.statuses,
    "CheckSuite": lambda repository: [
        *map(suite_of_run, repository.runs),
        *(suite_of(check) for check in repository.check_runs if check.run is None),
    ],
}
