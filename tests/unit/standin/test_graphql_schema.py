"""The schema says what the tables answer, no more and no less; and every field of it has an answer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLOutputType,
    build_schema,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    validate_schema,
)

from gitward_standin import StandIn
from gitward_standin.example import Example
from gitward_standin.graphql import reduced
from gitward_standin.graphql.catalog import INPUTS, TABLES
from gitward_standin.graphql.engine import load
from gitward_standin.graphql.tables import arguments, camel, snake
from gitward_standin.model import AutoMerge
from gitward_standin.node_ids import encode

GraphQL = Any  # the fixture's class lives in conftest.py

_REPOSITORY = 'repository(owner: "octo-org", name: "demo") { @ }'
_PULL = _REPOSITORY.replace("@", "pullRequest(number: 1) { @ }")
_COMMIT = _PULL.replace("@", "commits(last: 1) { nodes { commit { @ } } }")
_CHECKS = _COMMIT.replace("@", "statusCheckRollup { contexts(first: 10) { nodes { @ } } }")

# How a value of each type is reached; where a list is on the way, at least one of its values must be of the type.
WAYS = {
    "Query": "@",
    "User": "viewer { @ }",
    "Organization": 'organization(login: "octo-org") { @ }',
    "Bot": 'node(id: "BOT") { ... on Bot { @ } }',
    "Team": 'organization(login: "octo-org") { team(slug: "reviewers") { @ } }',
    "RateLimit": "rateLimit { @ }",
    "Repository": _REPOSITORY,
    "BranchProtectionRule": _REPOSITORY.replace("@", "branchProtectionRules(first: 1) { nodes { @ } }"),
    "Ref": _REPOSITORY.replace("@", "defaultBranchRef { @ }"),
    "Tree": _REPOSITORY.replace("@", 'object(expression: "main:") { ... on Tree { @ } }'),
    "TreeEntry": _REPOSITORY.replace("@", 'object(expression: "main:") { ... on Tree { entries { @ } } }'),
    "Blob": _REPOSITORY.replace("@", 'object(expression: "main:README.md") { ... on Blob { @ } }'),
    "Issue": _REPOSITORY.replace("@", "issue(number: 3) { @ }"),
    "IssueComment": _REPOSITORY.replace("@", "issue(number: 3) { comments(first: 1) { nodes { @ } } }"),
    "SubIssuesSummary": _REPOSITORY.replace("@", "issue(number: 3) { subIssuesSummary { @ } }"),
    "Label": _REPOSITORY.replace("@", 'label(name: "bug") { @ }'),
    "Milestone": _REPOSITORY.replace("@", "milestone(number: 1) { @ }"),
    "Release": _REPOSITORY.replace("@", "latestRelease { @ }"),
    "PullRequest": _PULL,
    "AutoMergeRequest": _PULL.replace("@", "autoMergeRequest { @ }"),
    "PullRequestCommit": _PULL.replace("@", "commits(last: 1) { nodes { @ } }"),
    "PullRequestChangedFile": _PULL.replace("@", "files(first: 1) { nodes { @ } }"),
    "PullRequestReview": _PULL.replace("@", "reviews(first: 1) { nodes { @ } }"),
    "ReviewRequest": _PULL.replace("@", "reviewRequests(first: 1) { nodes { @ } }"),
    "ReactionGroup": _PULL.replace("@", "reactionGroups { @ }"),
    "Commit": _COMMIT,
    "GitActor": _COMMIT.replace("@", "author { @ }"),
    "StatusCheckRollup": _COMMIT.replace("@", "statusCheckRollup { @ }"),
    "CheckRunStateCount": _COMMIT.replace("@", "statusCheckRollup { contexts { checkRunCountsByState { @ } } }"),
    "StatusContextStateCount": _COMMIT.replace(
        "@", "statusCheckRollup { contexts { statusContextCountsByState { @ } } }"
    ),
    "CheckRun": _CHECKS.replace("@", "... on CheckRun { @ }"),
    "StatusContext": _CHECKS.replace("@", "... on StatusContext { @ }"),
    "CheckSuite": _CHECKS.replace("@", "... on CheckRun { checkSuite { @ } }"),
    "WorkflowRun": _CHECKS.replace("@", "... on CheckRun { checkSuite { workflowRun { @ } } }"),
    "Workflow": _CHECKS.replace("@", "... on CheckRun { checkSuite { workflowRun { workflow { @ } } } }"),
}
# Types that the stand-in has no values of.
ABSENT = {
    *("CodeOfConduct", "DeployKey", "FundingLink", "IssueTemplate", "IssueType", "Language", "License", "Project"),
    *("ProjectCard", "ProjectColumn", "ProjectV2", "ProjectV2Item", "ProjectV2ItemFieldSingleSelectValue"),
    *("PublicKey", "PullRequestReviewThread", "PullRequestTemplate", "ReleaseAsset", "RepositoryContactLink"),
    *("RepositoryTopic", "Topic"),
}
# Arguments that a field needs, or that make its answer more than nothing.
ARGUMENTS = {
    "login": '"octo-org"',
    "name": '"demo"',
    "owner": '"octo-org"',
    "number": "1",
    "qualifiedName": '"main"',
    "refPrefix": '"refs/heads/"',
    "tagName": '"v1.0.0"',
    "expression": '"main"',
    "path": '"README.md"',
    "slug": '"reviewers"',
    "query": '"topic"',
    "type": "ISSUE",
    "first": "5",
    "url": '"https://github.com/octo-org/demo"',
}
# Fields that cannot be asked for at these places without an error that is right.
LEFT_OUT = {"Query.user", "Query.node", "Query.nodes", "Repository.projectV2", "Repository.issue", "User.repository"}


def fields(typename: str) -> Iterator[str]:
    """Every field of the type, with arguments, and below it what shows that its value is whole."""
    kind = load().type_map[typename]
    assert isinstance(kind, GraphQLObjectType)
    for name, field in kind.fields.items():
        if f"{typename}.{name}" in LEFT_OUT:
            continue
        wanted = {"query", "expression", "first"} & set(field.args)
        wanted |= {argument for argument, known in field.args.items() if is_required_argument(known)}
        if typename == "Repository" and name in ("labels", "milestones", "refs", "assignableUsers", "mentionableUsers"):
            wanted -= {"query"}
        given = ", ".join(f"{argument}: {ARGUMENTS[argument]}" for argument in sorted(wanted))
        yield f"{name}{f'({given})' if given else ''}{below(field.type)}"


def below(kind: GraphQLOutputType) -> str:
    named = get_named_type(kind)
    if is_leaf_type(named):
        return ""
    if named.name.endswith("Connection"):
        assert isinstance(named, GraphQLObjectType)
        page = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
        edge = get_named_type(named.fields["edges"].type)
        assert isinstance(edge, GraphQLObjectType)
        return f" {{ __typename {page} nodes {{ __typename }} edges {{ cursor node {{ __typename }} }} }}"
    return " { __typename }"


async def test_every_field_is_answered(graphql: GraphQL, example: tuple[StandIn, Example]) -> None:
    standin, contents = example
    contents.repository.protected = ("main",)
    contents.repository.pulls[0].auto_merge = AutoMerge(method="squash", by=contents.repository.pulls[0].author)
    bot = standin.site.accounts.get("standin-app[bot]")
    failed = {}
    for typename, way in WAYS.items():
        wanted = list(fields(typename))
        query = f"{{ {way} }}".replace("BOT", encode("Bot", bot.id)).replace("@", " ".join(wanted))
        answer = await graphql(query)
        whole = any(isinstance(value, dict) and len(value) >= len(wanted) for value in walked(answer.get("data")))
        if "errors" in answer or not whole:
            failed[typename] = answer.get("errors", "it was not reached")
    assert failed == {}


def walked(value: Any) -> Iterator[Any]:
    yield value
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        yield from walked(child)


def test_all_types_are_reached_or_known_to_be_absent() -> None:
    helpers = {name for name in TABLES if name.endswith(("Connection", "Edge", "Payload"))} | {"PageInfo", "Mutation"}
    assert set(WAYS) | ABSENT | helpers == set(TABLES)


def test_the_schema_is_valid_and_says_where_it_comes_from() -> None:
    text = (reduced.FOLDER / "schema.graphql").read_text()
    assert validate_schema(build_schema(text)) == []
    assert reduced.PACKAGE in text
    assert "Permission is hereby granted" in text


def test_the_schema_has_what_the_tables_answer() -> None:
    """If this fails: python -m gitward_standin.graphql.reduced."""
    types = {
        name: {field: sorted(known.args) for field, known in kind.fields.items()}
        for name, kind in load().type_map.items()
        if isinstance(kind, GraphQLObjectType) and not name.startswith("__")
    }
    assert types == {
        name: {field: sorted(arguments(table[field])) for field in table} for name, table in TABLES.items()
    }


def test_inputs_have_the_members_that_are_listed() -> None:
    inputs = {name: kind for name, kind in load().type_map.items() if isinstance(kind, GraphQLInputObjectType)}
    assert {name: set(kind.fields) for name, kind in inputs.items()} == {name: set(INPUTS[name]) for name in INPUTS}


@pytest.mark.parametrize(("name", "other"), [("number", "number"), ("headRefOid", "head_ref_oid"), ("url", "url")])
def test_names(name: str, other: str) -> None:
    assert (snake(name), camel(other)) == (other, name)


def test_reducing_a_schema_refuses_what_does_not_fit() -> None:
    """A table with a field that GitHub does not have is an error, not a surprise."""
    text = (reduced.FOLDER / "schema.graphql").read_text()
    with pytest.raises(reduced.Mismatch, match="Repository has no diskUsage"):
        reduced.Reduction(build_schema(text.replace("  diskUsage: Int\n", ""), assume_valid=True)).text()
    assert reduced.Reduction(build_schema(text, assume_valid=True)).text() in text


def test_the_library_is_not_loaded_before_it_is_needed() -> None:
    script = "import sys, gitward_standin, gitward_standin.graphql; sys.exit('graphql' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
