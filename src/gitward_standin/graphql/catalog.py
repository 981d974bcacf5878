"""All that the stand-in answers: every table, the members of inputs, and which type a value is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gitward_standin.accounts import Account, Team
from gitward_standin.checks import Rollup
from gitward_standin.graphql.mutations import change, discussions, pulls, refs
from gitward_standin.graphql.tables import Tables
from gitward_standin.graphql.types import accounts as account_types
from gitward_standin.graphql.types import checks as check_types
from gitward_standin.graphql.types import discussions as discussion_types
from gitward_standin.graphql.types import git as git_types
from gitward_standin.graphql.types import pulls as pull_types
from gitward_standin.graphql.types import releases as release_types
from gitward_standin.graphql.types import repositories as repository_types
from gitward_standin.graphql.types import root
from gitward_standin.history import Commit, GitObject
from gitward_standin.model import (
    CheckRun,
    Comment,
    Issue,
    Label,
    Milestone,
    PullRequest,
    Release,
    Repository,
    Review,
    StatusContext,
    Workflow,
    WorkflowRun,
)

_MUTATIONS = {**pulls.MUTATIONS, **discussions.MUTATIONS, **refs.MUTATIONS}
_MODULES = (
    account_types,
    check_types,
    discussion_types,
    git_types,
    pull_types,
    release_types,
    repository_types,
    root,
)

TABLES: Tables = {
    typename: table
    for tables in (*(module.TABLES for module in _MODULES), change.tables(_MUTATIONS))
    for typename, table in tables.items()
}

# The members of input objects that are honoured, or at least known.
INPUTS: Mapping[str, Sequence[str]] = {
    **change.inputs(_MUTATIONS),
    "CommitMessage": ("headline", "body"),
    "CommittableBranch": ("branchName", "id", "repositoryNameWithOwner"),
    "FileAddition": ("path", "contents"),
    "FileChanges": ("additions", "deletions"),
    "FileDeletion": ("path",),
    "IssueFilters": ("assignee", "createdBy", "labels", "mentioned", "states"),
    "IssueOrder": ("field", "direction"),
    "LabelOrder": ("field", "direction"),
    "LanguageOrder": ("field", "direction"),
    "ProjectOrder": ("field", "direction"),
    "ProjectV2Order": ("field", "direction"),
    "ReleaseOrder": ("field", "direction"),
    "RepositoryOrder": ("field", "direction"),
    "TeamOrder": ("field", "direction"),
}

_TYPENAMES: Mapping[type, str] = {
    CheckRun: "CheckRun",
    Comment: "IssueComment",
    Commit: "Commit",
    Issue: "Issue",
    Label: "Label",
    Milestone: "Milestone",
    PullRequest: "PullRequest",
    Release: "Release",
    Repository: "Repository",
    Review: "PullRequestReview",
    Rollup: "StatusCheckRollup",
    StatusContext: "StatusContext",
    Team: "Team",
    Workflow: "Workflow",
    WorkflowRun: "WorkflowRun",
    check_types.CheckSuite: "CheckSuite",
    git_types.Branch: "Ref",
    git_types.Protection: "BranchProtectionRule",
    pull_types.PullRequestCommit: "PullRequestCommit",
    pull_types.ReviewRequest: "ReviewRequest",
}


def typename(value: object) -> str:
    """The type of a value where the schema leaves several open."""
    match value:
        case Account():
            return value.type
        case GitObject():
            return value.typename
    return _TYPENAMES[type(value)]
