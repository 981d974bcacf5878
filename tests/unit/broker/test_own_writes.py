"""What GITWARD_WRITES=own leaves of each route and mutation; whatever is in neither list fails a test."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from gitward.broker.policy import rest
from gitward.broker.policy.graphql import document, opened, request
from gitward.broker.policy.graphql.mutations import OWN_VIEWS, VIEWS
from gitward.broker.policy.verdict import Verdict
from gitward.broker.policy.writes import OWN_ONLY
from gitward.errors import PolicyDenied
from gitward.grants.grant import Grant

OWN = Grant(
    run_id="run-1",
    repository="octo/demo",
    push_ref="refs/heads/gitward/abc",
    target_branch="main",
    expires_at=2e9,
)
ALL = replace(OWN, own_writes=False)
CLOSES = "closes acme/secret#1"
ROUTES = {  # which members of the body are left; an empty set: the route is not
    "POST pulls": {"title", "body", "head", "base", "draft", "maintainer_can_modify"},
    "PATCH pulls/{number}": {"title", "body"},
    "POST pulls/{number}/requested_reviewers": set[str](),
    "POST issues": {"title", "body", "labels", "assignees", "milestone"},
    "PATCH issues/{number}": {"title", "body"},
    "POST issues/{number}/comments": {"body"},
    "POST issues/{number}/labels": set[str](),
    "POST issues/{number}/assignees": set[str](),
}
MUTATIONS = {  # which id must be the session's own
    "createPullRequest": "",
    "updatePullRequest": "pullRequestId",
    "convertPullRequestToDraft": "pullRequestId",
    "createIssue": "",
    "updateIssue": "id",
    "addComment": "subjectId",
}
GONE = {
    "markPullRequestReadyForReview",
    "requestReviews",
    "requestReviewsByLogin",
    "addLabelsToLabelable",
    "removeLabelsFromLabelable",
    "addAssigneesToAssignable",
    "removeAssigneesFromAssignable",
    "replaceActorsForAssignable",
}


def written(rules: tuple[rest.RestRule, ...]) -> dict[str, set[str]]:
    return {f"{rule.method} {rule.path}": set(rule.body) for rule in rules if rule.method != "GET"}


def found(method: str, path: str, grant: Grant) -> rest.RestCall | Verdict:
    segments = ("repos", "octo", "demo", *path.replace("{number}", "7").split("/"))
    return rest.find(method, segments, (), grant)


def test_the_table_of_routes_is_whole() -> None:
    assert set(written(rest.RULES)) == set(ROUTES)
    assert written(rest.OWN_RULES) == {name: members for name, members in ROUTES.items() if members}
    assert [rule for rule in rest.OWN_RULES if rule.method == "GET"] == [
        rule for rule in rest.RULES if rule.method == "GET"
    ]


@pytest.mark.parametrize("route", ROUTES)
def test_each_route(route: str) -> None:
    """One that is left asks for an own number wherever it names one; of one that is not the refusal says why."""
    method, path = route.split(" ")
    assert isinstance(found(method, path, ALL), rest.RestCall)
    call = found(method, path, OWN)
    if not ROUTES[route]:
        assert call == Verdict(allowed=False, rule="writes.own", message=OWN_ONLY)
        return
    assert isinstance(call, rest.RestCall)
    assert call.number == (7 if "{number}" in path else None)
    for name in ("title", "body"):
        if name in ROUTES[route]:
            given = {"title": "x", "body": "x", "head": "gitward/abc", "base": "main", "draft": True}
            body = {each: value for each, value in given.items() if each in ROUTES[route]}
            assert isinstance(rest.check_body(call.rule, json.dumps(body).encode(), OWN), bytes)
            refused = rest.check_body(call.rule, json.dumps({**body, name: CLOSES}).encode(), OWN)
            assert isinstance(refused, Verdict)
            assert "GITWARD_WRITES=repository allows more" in refused.message


def mutation(name: str, given: dict[str, object], grant: Grant) -> document.Reading:
    query = f"mutation($i:X!){{{name}(input:$i){{clientMutationId}}}}"
    return document.read(request.read(json.dumps({"query": query, "variables": {"i": given}}).encode()), grant)


def test_the_table_of_mutations_is_whole() -> None:
    assert set(VIEWS["Mutation"].fields) == set(MUTATIONS) | GONE
    assert set(OWN_VIEWS["Mutation"].fields) == set(MUTATIONS)


@pytest.mark.parametrize("name", sorted(GONE))
def test_a_mutation_that_is_gone_says_what_is_left(name: str) -> None:
    with pytest.raises(PolicyDenied) as denied:
        mutation(name, {}, OWN)
    assert (denied.value.rule, denied.value.message) == ("writes.own", f"Mutation.{name} cannot be used: {OWN_ONLY}")


@pytest.mark.parametrize("name", MUTATIONS)
def test_each_mutation(name: str) -> None:
    """Its id must be the session's own, its texts close nothing elsewhere, and it sets nothing but texts."""
    members = OWN_VIEWS["Mutation"].fields[name].arguments["input"].members or {}
    texts = {"title": "x", "body": "x"} if "title" in members else {"body": "x"} if "body" in members else {}
    given: dict[str, object] = {**texts}
    if MUTATIONS[name]:
        given[MUTATIONS[name]] = "X_1"
    else:
        given["repositoryId"] = "R_1"
    if name == "createPullRequest":
        given |= {"headRefName": "gitward/abc", "baseRefName": "main", "draft": True}
    reading = mutation(name, given, OWN)
    assert reading.written == ({"X_1"} if MUTATIONS[name] else set())
    for text in texts:
        with pytest.raises(PolicyDenied, match="closes only issues of the session's repository"):
            mutation(name, {**given, text: CLOSES}, OWN)
    for member in set(members) - set(given) - {"clientMutationId", "headRepositoryId"}:
        if name == "createPullRequest" and member == "maintainerCanModify":
            continue  # GitHub looks at it for forks only; gh always sends it
        with pytest.raises(PolicyDenied, match="the session's POST sets it"):
            mutation(name, {**given, member: ["x"]}, OWN)


@pytest.mark.parametrize("ready", [False, True])
def test_a_pull_request_is_a_draft_unless_the_post_wants_it_ready(ready: bool) -> None:
    grant = replace(OWN, ready=ready)
    call = found("POST", "pulls", grant)
    assert isinstance(call, rest.RestCall)
    body: dict[str, object] = {"title": "x", "head": "gitward/abc", "base": "main"}
    cases: tuple[dict[str, object], ...] = ({}, {"draft": False}, {"draft": None})
    for more in cases:
        sent = rest.check_body(call.rule, json.dumps({**body, **more}).encode(), grant)
        assert isinstance(sent, bytes) is ready
    given: dict[str, object] = {"repositoryId": "R", "headRefName": "gitward/abc", "baseRefName": "main", "title": "x"}
    if ready:
        mutation("createPullRequest", given, grant)
    else:
        with pytest.raises(PolicyDenied, match="draft"):
            mutation("createPullRequest", given, grant)


def test_the_question_which_issue_was_opened_is_taken_out_again() -> None:
    reading = mutation("createIssue", {"repositoryId": "R", "title": "x"}, OWN)
    assert reading.opens
    assert opened.KEY.encode() in reading.content
    assert not mutation("createIssue", {"repositoryId": "R", "title": "x"}, ALL).opens
    issue = {"number": 7, "repository": {"nameWithOwner": "Octo/Demo"}}
    other = {"number": 8, "repository": {"nameWithOwner": "octo/other"}}
    answer = {"data": {"a": {"id": 1, opened.KEY: issue}, "b": {opened.KEY: other}, "c": {opened.KEY: None}, "d": None}}
    shown, numbers = opened.take(json.dumps(answer).encode(), "octo/demo")
    assert json.loads(shown) == {"data": {"a": {"id": 1}, "b": {}, "c": {}, "d": None}}
    assert numbers == (7,)


def test_a_text_that_stands_in_many_places_is_read_once() -> None:
    """Of a request whose texts are as large as a body may be; best of three, as others may be busy."""
    fields = " ".join(f"a{n}:addComment(input:{{subjectId:$id,body:$b}}){{clientMutationId}}" for n in range(100))
    texts = {"id": "X_1", "b": ("&#35;fix " * 8000)[:65_536]}
    body = json.dumps({"query": f"mutation($id:ID!,$b:String!){{{fields}}}", "variables": texts}).encode()
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        document.read(request.read(body), OWN)
        best = min(best, time.process_time() - began)
    assert best < 0.25


@pytest.mark.parametrize("name", ["title", "body"])
def test_a_text_is_as_long_as_github_takes_it(name: str) -> None:
    given: dict[str, object] = {"repositoryId": "R", "title": "x", "body": "x"}
    mutation("createIssue", {**given, name: "x" * 65_536}, OWN)
    with pytest.raises(PolicyDenied):
        mutation("createIssue", {**given, name: "x" * 65_537}, OWN)
