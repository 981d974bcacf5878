"""What a token without read:org is answered when gh asks for the teams of an organization."""

from __future__ import annotations

import json

import pytest

from gitward.broker.policy.graphql import scopes

TEAMS = "{organization(login:$o){teams(first:100){nodes{id slug} pageInfo{hasNextPage endCursor}}}}"


def answer(query: str) -> object:
    body = scopes.no_teams(json.dumps({"query": query, "variables": {"o": "octo"}}).encode())
    return None if body is None else json.loads(body)


def test_there_are_none() -> None:
    empty = {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}
    assert answer("query OrganizationTeamList($o:String!)" + TEAMS) == {"data": {"organization": {"teams": empty}}}
    aliased = answer('{a:organization(login:"octo"){t:teams(first:1){n:totalCount edges{cursor}}}}')
    assert aliased == {"data": {"a": {"t": {"n": 0, "edges": []}}}}


@pytest.mark.parametrize(
    "query",
    [
        "{viewer{login}}",
        '{organization(login:"octo"){id teams(first:1){totalCount}}}',
        '{viewer{login} organization(login:"octo"){teams(first:1){totalCount}}}',
        '{organization(login:"octo"){...f}} fragment f on Organization{teams(first:1){totalCount}}',
        '{organization(login:"octo"){...on Organization{teams(first:1){totalCount}}}}',
    ],
)
def test_other_questions_are_not_answered_here(query: str) -> None:
    assert answer(query) is None
