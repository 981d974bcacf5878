"""GraphQL's opaque ids: those of the session's repository pass, whatever the sandbox does to bring in others."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from gitward.grants.grant import Grant
from gitward_standin import StandIn

from .conftest import BRANCH, TOKEN
from .wire import Answer, Wire, wired


@dataclass(frozen=True, kw_only=True)
class Ids:
    """Node ids of one repository."""

    repository: str
    issue: str
    label: str


async def made(github: StandIn, name: str) -> Ids:
    """An issue and a label, by the token itself."""
    headers = {"Authorization": f"token {TOKEN}"}

    async def call(method: str, path: str, body: Any = None) -> Any:
        url = f"{github.api_url}/repos/{name}{path}"
        async with session.request(method, url, json=body, headers=headers) as response:
            assert response.status in {200, 201}, await response.text()
            return await response.json()

    async with aiohttp.ClientSession() as session:
        repository = await call("GET", "")
        issue = await call("POST", "/issues", {"title": "T", "labels": ["bug"]})
        return Ids(repository=repository["node_id"], issue=issue["node_id"], label=issue["labels"][0]["node_id"])


@pytest.fixture
async def wire(github: StandIn, grant: Grant) -> AsyncIterator[Wire]:
    async with wired(github.url, github.api_url, grant, TOKEN) as wire:
        yield wire


async def ask(wire: Wire, query: str, **variables: Any) -> Answer:
    body = json.dumps({"query": query, "variables": variables}).encode()
    return await wire.ask("POST /graphql", "Content-Type: application/json", body=body)


def documents(github: StandIn) -> list[str]:
    """What the GraphQL endpoint received."""
    return [json.loads(request.body)["query"] for request in github.requests if request.path.endswith("/graphql")]


COMMENT = 'mutation($id:ID!){addComment(input:{subjectId:$id,body:"x"}){clientMutationId}}'
LABEL = "mutation($on:ID!,$ids:[ID!]!){addLabelsToLabelable(input:{labelableId:$on,labelIds:$ids}){clientMutationId}}"
ISSUE = 'mutation($id:ID!){createIssue(input:{repositoryId:$id,title:"x"}){issue{number}}}'
PULL = (
    "mutation($id:ID!){createPullRequest(input:{repositoryId:$id,headRefName:"
    f'"{BRANCH}",baseRefName:"main",title:"x"}}){{pullRequest{{number}}}}}}'
)
NODE = "query($id:ID!){node(id:$id){...on Issue{title}}}"


async def test_the_own_ids_pass_and_are_asked_for_once(wire: Wire, github: StandIn) -> None:
    own = await made(github, "octo/demo")
    for query, variables in (
        (COMMENT, {"id": own.issue}),
        (LABEL, {"on": own.issue, "ids": [own.label]}),
        (ISSUE, {"id": own.repository}),
        (NODE, {"id": own.issue}),
    ):
        answer = await ask(wire, query, **variables)
        assert (answer.status, "errors" in json.loads(answer.body)) == (200, False), answer
    (issue, _) = github.repository("octo/demo").issues
    assert [comment.body for comment in issue.comments] == ["x"]
    look_ups = [query for query in documents(github) if "nodes(ids" in query]
    assert len(look_ups) == 3  # the issue, the label, the repository
    assert wire.rules == []


async def test_the_ids_of_another_repository_are_refused(wire: Wire, github: StandIn) -> None:
    """The token could write there."""
    own, other = await made(github, "octo/demo"), await made(github, "octo/other")
    attempts: list[tuple[str, dict[str, Any]]] = [
        (COMMENT, {"id": other.issue}),
        (LABEL, {"on": other.issue, "ids": [own.label]}),
        (LABEL, {"on": own.issue, "ids": [own.label, other.label]}),
        (ISSUE, {"id": other.repository}),
        (PULL, {"id": other.repository}),
        (NODE, {"id": other.issue}),
        (COMMENT, {"id": own.label}),
        (COMMENT, {"id": "nonsense"}),
        (COMMENT.replace("$id:ID!", f'$id:ID!="{other.issue}"'), {}),
        (COMMENT.replace("subjectId:$id", f'subjectId:"{other.issue}"').replace("($id:ID!)", ""), {}),
    ]
    for query, variables in attempts:
        assert (await ask(wire, query, **variables)).status == 403, query
    assert await wire.denied(len(attempts)) == ["graphql.id"] * len(attempts)
    assert all("nodes(ids" in query for query in documents(github))
    assert [issue.comments for issue in github.repository("octo/other").issues] == [[]]


async def test_a_look_up_that_fails_lets_nothing_through(wire: Wire, github: StandIn) -> None:
    own = await made(github, "octo/demo")
    for status, body in ((500, b"{}"), (200, b"[]"), (200, b'{"data":{"nodes":[]}}'), (200, b'{"data":{"nodes":5}}')):
        github.fault(path="*/graphql", status=status, body=body)
        answer = await ask(wire, COMMENT, id=own.issue)
        assert (answer.status, answer.body.startswith(b'{"message": "Gitward: GitHub')) == (502, True), answer
    (issue,) = github.repository("octo/demo").issues
    assert issue.comments == []
    assert (await ask(wire, COMMENT, id=own.issue)).status == 200
    assert len(issue.comments) == 1
