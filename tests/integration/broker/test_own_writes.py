"""GITWARD_WRITES=own, by REST and GraphQL: the session's own pull request and issues are written, and nothing else."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest

from gitward.grants.grant import Grant
from gitward_standin import StandIn

from .conftest import BRANCH, REPOSITORY, TOKEN, new_grant
from .wire import Answer, Wire, wired

R = f"/repos/{REPOSITORY}"
JSON = "Content-Type: application/json"
PULL = {"title": "T", "body": "B", "head": BRANCH, "base": "main", "draft": True}


@dataclass(frozen=True, kw_only=True)
class World:
    """A person's pull request and issue, as the session finds them, and the session's broker."""

    wire: Wire
    github: StandIn
    repository: str  # node id
    pull: int
    pull_id: str
    issue: int
    issue_id: str

    async def rest(self, line: str, **body: Any) -> Answer:
        return await self.wire.ask(line, JSON, body=json.dumps(body).encode())

    async def graphql(self, query: str, **variables: Any) -> Answer:
        return await self.wire.ask(
            "POST /graphql", JSON, body=json.dumps({"query": query, "variables": variables}).encode()
        )

    def writes(self) -> list[tuple[str, str]]:
        """What upstream received that writes."""
        return [
            (each.method, each.path)
            for each in self.github.requests
            if each.method in {"POST", "PATCH", "PUT", "DELETE"}
            and (b"mutation" in each.body or "graphql" not in each.path)
        ]


async def call(github: StandIn, method: str, path: str, body: Any = None) -> Any:
    """By the token itself."""
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"token {TOKEN}"}) as session,
        session.request(method, github.api_url + path, json=body) as response,
    ):
        assert response.status in {200, 201}, await response.text()
        return await response.json()


@pytest.fixture
def own() -> Grant:
    return new_grant(own_writes=True)


@pytest.fixture
async def world(github: StandIn, own: Grant) -> AsyncIterator[World]:
    repository = github.repository(REPOSITORY)
    start = await repository.head("main")
    for branch in ("feature", BRANCH):
        await repository.commit(branch, {f"{branch}.txt": "x\n"}, start=start)
    github.add_user("hubot")
    pull = await call(github, "POST", f"{R}/pulls", {**PULL, "head": "feature"})
    issue = await call(github, "POST", f"{R}/issues", {"title": "A person's"})
    known = await call(github, "GET", R)
    github.requests.clear()
    async with wired(github.url, github.api_url, own, TOKEN) as wire:
        yield World(
            wire=wire,
            github=github,
            repository=known["node_id"],
            pull=pull["number"],
            pull_id=pull["node_id"],
            issue=issue["number"],
            issue_id=issue["node_id"],
        )


REFUSED_BY_REST: tuple[tuple[str, dict[str, Any]], ...] = (
    ("PATCH {R}/pulls/{pull}", {"body": "x"}),
    ("PATCH {R}/issues/{pull}", {"title": "x"}),
    ("PATCH {R}/issues/{issue}", {"body": "x"}),
    ("POST {R}/issues/{pull}/comments", {"body": "@dependabot merge"}),
    ("POST {R}/issues/{issue}/comments", {"body": "/deploy"}),
    ("POST {R}/issues/{issue}/comments/", {"body": "/deploy"}),
    ("POST {R}/issues/99/comments", {"body": "x"}),
    ("POST {R}/issues/0{issue}/comments", {"body": "x"}),
    ("POST {R}/issues/{pull}/labels", {"labels": ["safe-to-test"]}),
    ("POST {R}/issues/{pull}/assignees", {"assignees": ["dev"]}),
    ("POST {R}/pulls/{pull}/requested_reviewers", {"reviewers": ["hubot"]}),
    ("POST {R}/issues", {"title": "x", "labels": ["deploy"]}),
    ("POST {R}/issues", {"title": "x", "assignees": ["dev"]}),
    ("POST {R}/issues", {"title": "x", "milestone": 1}),
    ("POST {R}/issues", {"title": "x", "assignee": "dev"}),
    ("POST {R}/issues", {"title": "Closes octo/other#1"}),
    ("POST {R}/pulls", PULL | {"base": "feature"}),
    ("POST {R}/pulls", PULL | {"draft": False}),
    ("POST {R}/pulls", {name: value for name, value in PULL.items() if name != "draft"}),
    ("POST {R}/pulls", PULL | {"head": "feature"}),
    ("POST {R}/pulls", PULL | {"issue": 2}),
    ("POST {R}/pulls", PULL | {"body": "Fixes: https://github.com/octo/other/issues/1"}),
    ("POST {R}/pulls/{pull}/reviews", {"event": "APPROVE"}),
    ("POST {R}/issues/{issue}/reactions", {"content": "+1"}),
    ("POST {R}/issues/{issue}/sub_issues", {"sub_issue_id": 1}),
    ("PUT {R}/issues/{issue}/lock", {}),
    ("PATCH {R}/issues/comments/1", {"body": "x"}),
)


@pytest.mark.parametrize(("line", "body"), REFUSED_BY_REST, ids=lambda each: str(each)[:60])
async def test_rest_reaches_nothing_of_others(world: World, line: str, body: dict[str, Any]) -> None:
    line = line.format(R=R, pull=world.pull, issue=world.issue)
    answer = await world.rest(line, **body)
    assert (answer.status, answer.headers["server"]) == (403, "Gitward"), answer
    assert world.writes() == []


REFUSED_BY_GRAPHQL = (
    'updatePullRequest(input:{pullRequestId:"{pull}",title:"x"})',
    'updatePullRequest(input:{pullRequestId:"{issue}",title:"x"})',
    'convertPullRequestToDraft(input:{pullRequestId:"{pull}"})',
    'markPullRequestReadyForReview(input:{pullRequestId:"{pull}"})',
    'requestReviews(input:{pullRequestId:"{pull}",userIds:[]})',
    'requestReviewsByLogin(input:{pullRequestId:"{pull}",userLogins:["hubot"]})',
    'updateIssue(input:{id:"{issue}",title:"x"})',
    'addComment(input:{subjectId:"{issue}",body:"/deploy"})',
    'addComment(input:{subjectId:"{pull}",body:"@dependabot merge"})',
    'addLabelsToLabelable(input:{labelableId:"{pull}",labelIds:[]})',
    'removeLabelsFromLabelable(input:{labelableId:"{pull}",labelIds:[]})',
    'addAssigneesToAssignable(input:{assignableId:"{pull}",assigneeIds:[]})',
    'removeAssigneesFromAssignable(input:{assignableId:"{pull}",assigneeIds:[]})',
    'replaceActorsForAssignable(input:{assignableId:"{pull}",actorLogins:["copilot-swe-agent"]})',
    'createIssue(input:{repositoryId:"{repository}",title:"x",issueTemplate:"bug.md"})',
    'createIssue(input:{repositoryId:"{repository}",title:"x",parentIssueId:"{issue}"})',
    'createIssue(input:{repositoryId:"{repository}",title:"x",labelIds:["{issue}"]})',
    'createIssue(input:{repositoryId:"{repository}",title:"x",body:"Closes octo/other#1"})',
    'createPullRequest(input:{repositoryId:"{repository}",headRefName:"HEAD",baseRefName:"main",title:"x"})',
    'createPullRequest(input:{repositoryId:"{repository}",headRefName:"HEAD",baseRefName:"feature",draft:true,title:"x"})',
    'createPullRequest(input:{repositoryId:"{repository}",headRefName:"feature",baseRefName:"main",draft:true,title:"x"})',
    'createPullRequest(input:{repositoryId:"{repository}",headRefName:"HEAD",baseRefName:"main",draft:true,title:"x",'
    'body:"fix octo/other#1"})',
    'pinIssue(input:{issueId:"{issue}"})',
    'transferIssue(input:{issueId:"{issue}",repositoryId:"{repository}"})',
    'addSubIssue(input:{issueId:"{issue}",subIssueId:"{issue}"})',
    'addReaction(input:{subjectId:"{issue}",content:THUMBS_UP})',
    'lockLockable(input:{lockableId:"{issue}"})',
    'addPullRequestReview(input:{pullRequestId:"{pull}",event:APPROVE})',
    'enablePullRequestAutoMerge(input:{pullRequestId:"{pull}"})',
)


@pytest.mark.parametrize("mutation", REFUSED_BY_GRAPHQL, ids=lambda each: each[:60])
async def test_graphql_reaches_nothing_of_others(world: World, mutation: str) -> None:
    for name in ("pull", "issue", "repository"):
        mutation = mutation.replace(f"{{{name}}}", getattr(world, f"{name}_id" if name != "repository" else name))
    for query in (
        f"mutation{{{mutation.replace('HEAD', BRANCH)}{{clientMutationId}}}}",
        f"mutation{{x:{mutation.replace('HEAD', BRANCH)}{{...f}}}} fragment f on Node{{id}}",
    ):
        answer = await world.graphql(query)
        assert (answer.status, answer.headers["server"]) == (403, "Gitward"), answer
    assert world.writes() == []


async def test_the_own_pull_request_is_written_by_rest(world: World) -> None:
    opened = json.loads((await world.rest(f"POST {R}/pulls", **PULL)).body)
    number = opened["number"]
    written: tuple[tuple[str, dict[str, Any]], ...] = (
        (f"PATCH {R}/pulls/{number}", {"title": "New", "body": f"Closes #1, closes {REPOSITORY}#2"}),
        (f"PATCH {R}/issues/{number}", {"body": "Newer"}),
        (f"POST {R}/issues/{number}/comments", {"body": "/deploy"}),
    )
    for line, body in written:
        assert (await world.rest(line, **body)).status in {200, 201}, line
    refused: tuple[tuple[str, dict[str, Any]], ...] = (
        (f"PATCH {R}/pulls/{number}", {"base": "feature"}),
        (f"PATCH {R}/pulls/{number}", {"maintainer_can_modify": True}),
        (f"PATCH {R}/pulls/{number}", {"body": "Resolves octo/other#1"}),
        (f"PATCH {R}/issues/{number}", {"labels": ["x"]}),
        (f"POST {R}/issues/{number}/comments", {"body": "closes octo/other#1"}),
        (f"POST {R}/issues/{number}/labels", {"labels": ["x"]}),
        (f"POST {R}/pulls/{number}/requested_reviewers", {"reviewers": ["hubot"]}),
    )
    for line, body in refused:
        answer = await world.rest(line, **body)
        assert answer.status == 403, line
        assert b"GITWARD_WRITES=repository" in answer.body
    pull = world.github.repository(REPOSITORY).pull(number)
    assert pull is not None
    assert (pull.title, pull.body, [each.body for each in pull.comments]) == ("New", "Newer", ["/deploy"])
    assert (pull.base, pull.labels, pull.reviewers, pull.draft) == ("main", [], [], True)


async def test_the_own_pull_request_is_written_by_graphql(world: World) -> None:
    made = await world.graphql(
        "mutation($i:CreatePullRequestInput!){createPullRequest(input:$i){pullRequest{id number}}}",
        i={"repositoryId": world.repository, "headRefName": BRANCH, "baseRefName": "main", "draft": True, "title": "T"},
    )
    opened = json.loads(made.body)["data"]["createPullRequest"]["pullRequest"]
    for mutation in (
        'updatePullRequest(input:{pullRequestId:$id,title:"New",body:"closes #1"})',
        'addComment(input:{subjectId:$id,body:"x"})',
        "convertPullRequestToDraft(input:{pullRequestId:$id})",
    ):
        answer = await world.graphql(f"mutation($id:ID!){{{mutation}{{clientMutationId}}}}", id=opened["id"])
        assert (answer.status, b"errors" in answer.body) == (200, False), answer
    for mutation in (
        "markPullRequestReadyForReview(input:{pullRequestId:$id})",
        'updatePullRequest(input:{pullRequestId:$id,baseRefName:"feature"})',
        "updatePullRequest(input:{pullRequestId:$id,labelIds:[]})",
        'updatePullRequest(input:{pullRequestId:$id,body:"closes octo/other#1"})',
        'requestReviewsByLogin(input:{pullRequestId:$id,userLogins:["hubot"]})',
    ):
        answer = await world.graphql(f"mutation($id:ID!){{{mutation}{{clientMutationId}}}}", id=opened["id"])
        assert answer.status == 403, mutation
        assert b"GITWARD_WRITES=repository" in answer.body


async def test_an_issue_that_it_opened_is_its_own(world: World) -> None:
    """Whatever the sandbox asks of the answer; the question of the broker's own is not in it."""
    by_rest = json.loads((await world.rest(f"POST {R}/issues", title="One", labels=[])).body)["number"]
    document = (
        'mutation($r:ID!){x:createIssue(input:{repositoryId:$r,title:"Two"}){...f} '
        'createIssue(input:{repositoryId:$r,title:"Three"}){issue{number:id}}} '
        "fragment f on CreateIssuePayload{clientMutationId}"
    )
    answer = json.loads((await world.graphql(document, r=world.repository)).body)
    assert answer["data"]["x"] == {"clientMutationId": None}
    assert list(answer["data"]["createIssue"]["issue"]) == ["number"]
    events = await world.wire.told(3)
    numbers = [int(event.data["number"]) for event in events if event.type == "issue.opened"]
    assert numbers == [by_rest, by_rest + 1, by_rest + 2]
    assert world.wire.opened.grant.issues == tuple(numbers)
    for number in numbers:
        assert (await world.rest(f"POST {R}/issues/{number}/comments", body="x")).status == 201
        assert (await world.rest(f"PATCH {R}/issues/{number}", title="New")).status == 200
        assert (await world.rest(f"PATCH {R}/issues/{number}", state="closed")).status == 403
        assert (await world.rest(f"PATCH {R}/issues/{number}", labels=["x"])).status == 403


async def test_no_field_can_take_the_place_of_the_brokers_question(world: World) -> None:
    query = 'mutation($r:ID!){createIssue(input:{repositoryId:$r,title:"x"}){gitwardOpened:issue{number:id}}}'
    assert (await world.graphql(query, r=world.repository)).status == 403
    assert world.writes() == []


async def test_a_replaced_broker_knows_its_issues(world: World) -> None:
    number = json.loads((await world.rest(f"POST {R}/issues", title="One")).body)["number"]
    await world.wire.told(1)
    opened, pid = world.wire.opened, world.wire.opened.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await opened.replaced(pid)
    assert (await world.rest(f"POST {R}/issues/{number}/comments", body="x")).status == 201
    assert (await world.rest(f"POST {R}/issues/{world.issue}/comments", body="x")).status == 403


async def test_what_the_session_recorded_is_its_own(world: World, own: Grant) -> None:
    """A follow-up writes the issue and the pull request of an earlier run, also when that is closed by now."""
    grant = replace(own, run_id="run-2", issues=(world.issue,), pull_request=world.pull)
    await call(world.github, "PATCH", f"{R}/pulls/{world.pull}", {"state": "closed"})
    async with wired(world.github.url, world.github.api_url, grant, TOKEN) as wire:
        for number in (world.issue, world.pull):
            body = json.dumps({"body": "x"}).encode()
            assert (await wire.ask(f"POST {R}/issues/{number}/comments", JSON, body=body)).status == 201


async def test_a_closed_pull_request_of_the_branch_is_no_own(world: World) -> None:
    """Somebody else had the branch's name before."""
    opened = await call(world.github, "POST", f"{R}/pulls", PULL)
    await call(world.github, "PATCH", f"{R}/pulls/{opened['number']}", {"state": "closed"})
    assert (await world.rest(f"PATCH {R}/pulls/{opened['number']}", body="x")).status == 403


async def test_a_session_that_wants_it_ready_opens_it_so(world: World, own: Grant) -> None:
    async with wired(world.github.url, world.github.api_url, replace(own, run_id="r2", ready=True), TOKEN) as wire:
        body = json.dumps({name: value for name, value in PULL.items() if name != "draft"}).encode()
        assert (await wire.ask(f"POST {R}/pulls", JSON, body=body)).status == 201


async def test_with_repository_people_can_be_assigned_and_nobody_else(world: World) -> None:
    world.github.site.accounts.add("copilot-swe-agent", type="Bot")
    async with wired(world.github.url, world.github.api_url, replace(new_grant(), run_id="r2"), TOKEN) as wire:

        async def ask(line: str, body: Any) -> int:
            return (await wire.ask(line, JSON, body=json.dumps(body).encode())).status

        people = f"POST {R}/issues/{world.issue}/assignees"
        assert await ask(f"PATCH {R}/issues/{world.issue}", {"assignees": ["hubot"]}) == 200
        for login in ("copilot-swe-agent", "copilot-swe-agent[bot]", "nobody", "octo"):
            assert await ask(people, {"assignees": ["hubot", login]}) == 403, login
            assert await ask(f"POST {R}/issues", {"title": "x", "assignees": [login]}) == 403
            assert await ask(f"PATCH {R}/issues/{world.issue}", {"assignees": [login]}) == 403
            assert await ask(f"POST {R}/pulls/{world.pull}/requested_reviewers", {"reviewers": [login]}) == 403
            for mutation in (
                f'replaceActorsForAssignable(input:{{assignableId:"{world.pull_id}",actorLogins:["{login}"]}})',
                f'requestReviewsByLogin(input:{{pullRequestId:"{world.pull_id}",userLogins:["{login}"]}})',
                f'requestReviewsByLogin(input:{{pullRequestId:"{world.pull_id}",botLogins:["{login}"]}})',
            ):
                query = {"query": f"mutation{{{mutation}{{clientMutationId}}}}"}
                assert await ask("POST /graphql", query) == 403, mutation
        told = await wire.denied(1)
        assert set(told) <= {"writes.people", "graphql.argument"}
    issue = world.github.repository(REPOSITORY).issue(world.issue)
    assert issue is not None
    assert [each.login for each in issue.assignees] == ["hubot"]
