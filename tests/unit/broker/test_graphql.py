"""What may be asked by GraphQL, and that nothing else gets through by aliases, fragments, variables or size."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from graphql import parse

from gitward.broker.policy.graphql import document, request
from gitward.broker.policy.graphql.arguments import NAME, SEARCH
from gitward.broker.policy.graphql.document import Reading
from gitward.errors import PolicyDenied
from gitward.grants.grant import Grant

GRANT = Grant(
    own_writes=False, run_id="run-1", repository="octo/demo", push_ref="refs/heads/gitward/abc", expires_at=2e9
)
OWN = 'repository(owner:"octo",name:"demo")'
ABBREVIATED = "query($s:String!){search(query:$s,type:ISSUE,first:5){nodes{...on PullRequest{number}}}}"

# fmt: off
FORBIDDEN = (  # mutations around the push rule, into other repositories, for access, or that destroy
    "createCommitOnBranch", "createRef", "updateRef", "updateRefs", "deleteRef", "mergeBranch",
    "mergePullRequest", "enablePullRequestAutoMerge", "enqueuePullRequest", "updatePullRequestBranch",
    "revertPullRequest", "createBranchProtectionRule", "updateBranchProtectionRule",
    "deleteBranchProtectionRule", "createRepositoryRuleset", "updateRepositoryRuleset", "addPullRequestReview",
    "submitPullRequestReview", "createDeployment", "createEnvironment", "updateEnvironment",
    "approveDeployments", "createCheckRun", "createRepository", "updateRepository", "archiveRepository",
    "transferIssue", "deleteIssue", "deleteIssueComment", "deleteLabel", "closePullRequest", "closeIssue",
    "createLinkedBranch", "addStar", "updateTopics", "createDiscussion", "addEnterpriseAdmin",
    "dismissPullRequestReview", "grantMigratorRole",
)
# fmt: on


def read(query: object, variables: object = None, **more: object) -> Reading:
    body = json.dumps({"query": query, "variables": variables, **more}).encode()
    return document.read(request.read(body), GRANT)


def refused(query: object, variables: object = None, **more: object) -> tuple[str, str]:
    with pytest.raises(PolicyDenied) as denied:
        read(query, variables, **more)
    return denied.value.rule, denied.value.message


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("query UserCurrent{viewer{login}}", None),
        (f"{{{OWN}{{id name owner{{login}} defaultBranchRef{{name}}}}}}", None),
        ("query($o:String!,$n:String!){repository(owner:$o,name:$n){id}}", {"o": "OCTO", "n": "Demo"}),
        ('query($o:String="octo"){repository(owner:$o,name:"demo"){id}}', {}),
        (f"{{a:{OWN}{{pullRequests(first:30,states:[OPEN]){{nodes{{...p}}}}}}}} fragment p on PullRequest{{title}}",
         None),
        (f"{{{OWN}{{issueOrPullRequest(number:1){{...on Issue{{body}}...on PullRequest{{body}}}}}}}}", None),
        (f"query($x:Boolean!){{{OWN}{{id@include(if:$x) name@skip(if:false)}}}}", {"x": True}),
        ('{__type(name:"PullRequest"){fields(includeDeprecated:true){name}}}', None),
        (f"{{{OWN}{{__typename ...{{name}}}}}}", {"unused": 1}),
    ],
)  # fmt: skip
def test_reading_the_sessions_repository(query: str, variables: dict[str, Any] | None) -> None:
    reading = read(query, variables)
    assert (reading.rule, reading.ids) == ("graphql.query", {})


@pytest.mark.parametrize(
    ("query", "rule", "named"),
    [
        # other repositories and other people's data
        ('{repository(owner:"octo",name:"other"){id}}', "graphql.argument", "Query.repository(name)"),
        ('{repository(owner:"evil",name:"demo"){id}}', "graphql.argument", "Query.repository(owner)"),
        ("{repository(owner:OCTO,name:[\"demo\"]){id}}", "graphql.argument", "Query.repository(name)"),
        ('{repository(name:"demo"){id}}', "graphql.argument", "Query.repository(owner) is missing"),
        ('{ok:repository(owner:"octo",name:"demo"){id} no:repository(owner:"octo",name:"other"){id}}',
         "graphql.argument", "Query.repository(name)"),
        (f"{{{OWN}{{owner{{repositories(first:1){{nodes{{name}}}}}}}}}}", "graphql.field",
         "RepositoryOwner.repositories"),
        (f"{{{OWN}{{owner{{...on User{{repositories(first:1){{nodes{{name}}}}}}}}}}}}", "graphql.field",
         "User.repositories"),
        (f"{{{OWN}{{owner{{...on Organization{{membersWithRole(first:1){{nodes{{email}}}}}}}}}}}}", "graphql.field",
         "Organization.membersWithRole"),
        (f"{{{OWN}{{...on Node{{id}}}}}}", "graphql.fragment", "a fragment on Node in Repository"),
        (f"{{{OWN}{{...f}}}} fragment f on Repository{{forks(first:1){{nodes{{name}}}}}}", "graphql.field",
         "Repository.forks"),
        (f"{{{OWN}{{parent{{pullRequests(first:1){{nodes{{id}}}}}}}}}}", "graphql.field", "Repository.pullRequests"),
        (f"{{{OWN}{{pullRequest(number:1){{headRepository{{pullRequests(first:1){{totalCount}}}}}}}}}}",
         "graphql.field", "Repository.pullRequests"),
        (f"{{{OWN}{{collaborators(first:1){{nodes{{login}}}}}}}}", "graphql.field", "Repository.collaborators"),
        (f'{{{OWN}{{object(expression:"main:x"){{id}}}}}}', "graphql.field", "Repository.object"),
        (f"{{{OWN}{{deployKeys(first:1){{nodes{{key}}}}}}}}", "graphql.field", "Repository.deployKeys"),
        (f"{{{OWN}{{environments(first:1){{nodes{{name}}}}}}}}", "graphql.field", "Repository.environments"),
        ("{viewer{email}}", "graphql.field", "User.email"),
        ("{viewer{repositories(first:1){nodes{name}}}}", "graphql.field", "User.repositories"),
        ('{user(login:"dev"){publicKeys(first:1){nodes{key}}}}', "graphql.field", "User.publicKeys"),
        ('{organization(login:"other"){id}}', "graphql.argument", "Query.organization(login)"),
        ('{nodes(ids:["x"]){id}}', "graphql.field", "Query.nodes"),
        ('{resource(url:"https://github.com/octo/other"){url}}', "graphql.field", "Query.resource"),
        ('{repositoryOwner(login:"octo"){login}}', "graphql.field", "Query.repositoryOwner"),
        ("{relay{viewer{login}}}", "graphql.field", "Query.relay"),
        ("{__schema{types{name}}}", "graphql.field", "Query.__schema"),
        ("{node(id:5){id}}", "graphql.argument", "Query.node(id)"),
        # around the push rule, and access
        *[
            (f"mutation{{{name}(input:{{}}){{clientMutationId}}}}", "graphql.field", f"Mutation.{name}")
            for name in FORBIDDEN
        ],
        ("mutation{ok:addComment(input:{subjectId:\"I\",body:\"x\"}){clientMutationId} "
         "viewer:createRef(input:{}){clientMutationId}}", "graphql.field", "Mutation.createRef"),
        ("mutation{...f} fragment f on Mutation{updateRef(input:{}){clientMutationId}}", "graphql.field",
         "Mutation.updateRef"),
        ("mutation{...on Mutation{...on Mutation{deleteRef(input:{}){clientMutationId}}}}", "graphql.field",
         "Mutation.deleteRef"),
        ("subscription{x}", "graphql.operation", "queries and mutations"),
        # the shape of the document
        ("{viewer{login}} mutation X{y}", "graphql.operation", "one operation"),
        ("{viewer{login}} type Query{x:Int}", "graphql.malformed", "one operation"),
        ("{viewer{login}} fragment a on User{id} fragment a on User{email}", "graphql.malformed", "different names"),
        ("query@cached{viewer{login}}", "graphql.directive", "include and skip"),
        ("{viewer{login@defer}}", "graphql.directive", "include and skip"),
        ("{...f@x} fragment f on Query{viewer{login}}", "graphql.directive", "include and skip"),
        ("{...f} fragment f on Query@x{viewer{login}}", "graphql.directive", "include and skip"),
        ("{...f} fragment f on Query{...f}", "graphql.limits", "too large or too deep"),
        ("{...f}", "graphql.fragment", "f is not in the document"),
        ("{viewer}", "graphql.malformed", "User|viewer must have fields"),
        ("{viewer{login{x}}}", "graphql.malformed", "must not have fields"),
        ("{viewer{login(x:1)}}", "graphql.argument", "User.login(x)"),
        ('{repository(owner:"evil",owner:"octo",name:"demo"){id}}', "graphql.malformed", "an argument twice"),
        ("{repository(owner:$o,name:\"demo\"){id}}", "graphql.malformed", "o is not defined"),
        (f"{{{OWN}{{issues(first:101){{totalCount}}}}}}", "graphql.argument", "a number from 1 to 100"),
        ("{" + "viewer{login}" * 101 + "}", "graphql.limits", "too large"),
        ("{" * 2000, "graphql.malformed", "cannot be read"),
        ("{" + "a" * 70_000 + "}", "graphql.malformed", "characters"),
        ("query{viewer{login", "graphql.malformed", "cannot be read"),
        ("", "graphql.malformed", "cannot be read"),
        (1, "graphql.malformed", "a query"),
    ],
)  # fmt: skip
def test_what_is_refused_is_named(query: object, rule: str, named: str) -> None:
    got, message = refused(query)
    assert got == rule
    assert any(part in message for part in named.split("|")), message


def test_fragments_that_multiply_are_bounded() -> None:
    """A billion fields from a kilobyte."""
    levels = "".join(f"fragment f{n} on Query{{{f'...f{n + 1} ' * 10}}}" for n in range(9))
    assert refused("{...f0}" + levels + "fragment f9 on Query{viewer{login}}")[0] == "graphql.limits"


@pytest.mark.parametrize(
    ("variables", "rule"),
    [
        ({"o": "evil"}, "graphql.argument"),
        ({"o": None}, "graphql.argument"),
        ({"o": ["octo"]}, "graphql.argument"),
        ([], None),
        ({}, None),
        ("x", "graphql.malformed"),
    ],
)
def test_variables_count_as_upstream_will_read_them(variables: object, rule: str | None) -> None:
    """A given null is not the default, and an absent one is."""
    query = 'query($o:String="octo"){repository(owner:$o,name:"demo"){id}}'
    if rule is None:
        assert read(query, variables)
    else:
        assert refused(query, variables)[0] == rule


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b"{}",
        b'{"query":"{viewer{login}}","extensions":{}}',
        b'{"query":"{viewer{login}}","query":"mutation{x}"}',
        b'{"query":"{viewer{login}}","variables":{"a":1,"a":2}}',
        b'{"query":"{viewer{login}}","variables":{"a":NaN}}',
        b'[{"query":"{viewer{login}}"}]',
        json.dumps({"query": "{viewer{login}}"}).encode("utf-16"),
    ],
)
def test_bodies_of_another_form_are_refused(body: bytes) -> None:
    with pytest.raises(PolicyDenied):
        request.read(body)


def test_what_goes_on_is_what_was_understood() -> None:
    """Printed anew: without comments, and without what was defined but not used."""
    reading = read(
        "query A($o:String!){#mutation\nrepository(owner:$o,name:\"demo\"){...f}} "
        "fragment f on Repository{id} fragment g on User{email}",
        {"o": "octo", "more": "x"},
        operationName="A",
    )  # fmt: skip
    body = json.loads(reading.content)
    assert (set(body), body["variables"]) == ({"query", "variables"}, {"o": "octo"})
    assert "#" not in body["query"]
    assert "email" not in body["query"]
    assert len(parse(body["query"]).definitions) == 2
    assert refused("query A{viewer{login}}", operationName="B")[0] == "graphql.operation"


@pytest.mark.parametrize(
    "search",
    [
        "repo:octo/demo state:open is:pr author:@me",
        "foo label:bug repo:OCTO/demo state:open type:pr",
        "( foo bar ) label:bug repo:octo/demo state:open type:issue",
        'label:"good first issue" -label:wontfix repo:octo/demo',
        'repo:octo/demo "a quoted text" updated:>2026-01-01',
    ],
)
def test_searches_in_the_repository(search: str) -> None:
    assert read(ABBREVIATED, {"s": search}).rule == "graphql.query"


# Whatever some reader splits words at, or leaves out, but the space.
SEPARATORS = sorted(
    {chr(code) for code in range(0x110000) if chr(code).isspace() or unicodedata.category(chr(code)) in {"Cc", "Cf"}}
    - {" "}
)


def test_a_search_names_the_repository_as_github_does() -> None:
    """And only a space separates words: GitHub leaves out a repo: that it cannot read, and searches everywhere."""
    reading = read(ABBREVIATED, {"s": 'REPO:Octo/DEMO  "repo of x"   state:open'})
    assert json.loads(reading.content)["variables"] == {"s": 'repo:octo/demo "repo of x" state:open'}


@pytest.mark.parametrize(
    "search",
    [
        "",
        "state:open",
        "repo:octo/other",
        "repo:octo/demo repo:octo/other",
        "repo:octo/demo REPO:octo/other",
        "repo:octo/demo repo:octo/demo",
        "-repo:octo/demo",
        "repo:octo/demo OR state:open",
        "repo:octo/demo or state:open",
        "(repo:octo/demo OR repo:octo/other)",
        "NOT repo:octo/demo",
        "repo:octo/demo org:octo",
        "repo:octo/demo user:evil",
        "repo:octo/demo owner:evil",
        'repo:"octo/demo" "repo:octo/other"',
        'repo:octo/demo label:"x repo:octo/other"',
        'repo:octo/demo "',
        'repo:octo/demo "x" y"',
        "repo:octo/demo repo：octo/other",
        "repo:octo/demo,octo/other",
        "repo:octo/demo\\ repo:octo/other",
        "repo:octo/demo x:y:z",
        "repo:octo/demo in:title,repo:octo/other",
        "repo:octo/\u212aeys",
        "repo:octo/demo a||b",
        "repo:octo/demo label:a||b",
        "repo:octo/demo !x",
        "repo:octo/demo ＯＲ x",
        "- repo:octo/demo",
        "! repo:octo/demo",
        "- ( repo:octo/demo )",
        "( repo:octo/demo )",
        "( repo:octo/demo ) || ( is:private )",
        "repo:octo/demo || x",
        "is:private ) ( repo:octo/demo",
        "repo:octo/demo ) x (",
        "repo:octo/demo ( x",
        *[f"repo:octo/demo{mark}x" for mark in SEPARATORS],
        *[f"repo:octo/demo {mark}repo:octo/other" for mark in SEPARATORS],
        *[f"repo:octo/demo x{mark}" for mark in SEPARATORS],
        7,
        ["repo:octo/demo"],
    ],
)
def test_searches_beyond_the_repository_are_refused(search: object) -> None:
    if isinstance(search, str) and "\0" in search:
        assert refused(ABBREVIATED, {"s": search})[0] == "graphql.malformed"
        return
    assert refused(ABBREVIATED, {"s": search}) == (
        "graphql.argument",
        "Query.search(query) must be a search with repo: of the session's repository once, and without OR, AND, NOT "
        "and their signs",
    )


def test_a_search_for_repositories_is_refused() -> None:
    query = '{search(query:"repo:octo/demo",type:REPOSITORY,first:1){nodes{...on PullRequest{id}}}}'
    assert refused(query)[0] == "graphql.argument"
    inside = '{search(query:"repo:octo/demo",type:ISSUE,first:1){nodes{...on Repository{id}}}}'
    assert refused(inside)[0] == "graphql.fragment"


CREATE = "mutation($input:CreatePullRequestInput!){createPullRequest(input:$input){pullRequest{id url}}}"
PULL = {"repositoryId": "R", "headRefName": "gitward/abc", "baseRefName": "main", "title": "T", "body": "B"}


def test_a_pull_request_of_the_sessions_branch() -> None:
    for head in ("gitward/abc", "octo:gitward/abc", "OCTO:gitward/abc"):
        reading = read(CREATE, {"input": {**PULL, "headRefName": head, "headRepositoryId": "R"}})
        assert (reading.rule, dict(reading.ids)) == ("graphql.mutation", {"R": frozenset({"Repository"})})


@pytest.mark.parametrize(
    "changes",
    [
        {"headRefName": "main"},
        {"headRefName": "evil:gitward/abc"},
        {"headRefName": "octo:x:gitward/abc"},
        {"headRefName": "refs/heads/gitward/abc"},
        {"headRefName": None},
        {"repositoryId": None},
        {"repositoryId": 1},
        {"repositoryId": {"id": "R"}},
        {"unknown": 1},
        {"headRepositoryId": ["R", 1]},
    ],
)
def test_other_pull_requests_are_refused(changes: dict[str, Any]) -> None:
    assert refused(CREATE, {"input": {**PULL, **changes}})[0] == "graphql.argument"
    assert refused(CREATE, {"input": [PULL]})[0] == "graphql.argument"
    assert refused("mutation{createPullRequest{clientMutationId}}")[0] == "graphql.argument"


def test_every_id_is_collected() -> None:
    reading = read(
        'mutation($i:[ID!]!){a:addLabelsToLabelable(input:{labelableId:"P",labelIds:$i}){clientMutationId}'
        'b:updatePullRequest(input:{pullRequestId:"P",labelIds:"L3",assigneeIds:["U"],milestoneId:"M"}){clientMutationId}}',
        {"i": ["L1", "L2"]},
    )  # fmt: skip
    people = {"User", "Mannequin"}
    assert reading.ids == {
        "P": {"PullRequest"},
        **{label: {"Label"} for label in ("L1", "L2", "L3")},
        "U": people,
        "M": {"Milestone"},
    }
    query = 'mutation($i:[ID!]!){addLabelsToLabelable(input:{labelableId:"P",labelIds:$i}){clientMutationId}}'
    assert refused(query, {"i": [f"L{number}" for number in range(100)]})[0] == "graphql.limits"
    assert refused(query, {"i": [f"L{number}" for number in range(101)]}) == (
        "graphql.argument",
        "Mutation.addLabelsToLabelable(input)(labelIds) must have at most 100 entries",
    )


@pytest.mark.parametrize("member", ["state:CLOSED", 'projectIds:["P"]', "projectIds:5"])
def test_an_edit_does_not_close(member: str) -> None:
    query = f'mutation{{updatePullRequest(input:{{pullRequestId:"P",{member}}}){{clientMutationId}}}}'
    assert refused(query)[0] == "graphql.argument"


def test_a_repository_goes_on_as_github_spells_it() -> None:
    """Whatever case it has in the request: in a literal, in a variable, in its default, in an input object."""
    asked = (
        'query($o:String!,$n:String="DEMO"){a:repository(owner:$o,name:$n){id} '
        'b:repository(owner:"OCTO",name:"Demo"){...f} c:organization(login:"ocTo"){id}} fragment f on Repository{id}'
    )
    body = json.loads(read(asked, {"o": "Octo"}).content)
    assert body["variables"] == {"o": "octo", "n": "demo"}
    assert 'owner: "octo", name: "demo"' in body["query"]
    assert 'login: "octo"' in body["query"]
    create = "mutation($i:X!){createPullRequest(input:$i){clientMutationId}}"
    given = {"repositoryId": "R", "headRefName": "OCTO:gitward/abc", "baseRefName": "main", "title": "OCTO"}
    assert json.loads(read(create, {"i": given}).content)["variables"] == {
        "i": {**given, "headRefName": "octo:gitward/abc"}
    }
    literal = (
        'mutation{createPullRequest(input:{repositoryId:"R",headRefName:"OCTO:gitward/abc",baseRefName:"main"})'
        "{clientMutationId}}"
    )
    assert '"octo:gitward/abc"' in json.loads(read(literal).content)["query"]


def test_a_letter_that_folds_to_another_is_another_name() -> None:
    kelvin = Grant(run_id="run-1", repository="octo/kit", push_ref="refs/heads/x", expires_at=2e9)
    assert SEARCH.problem("repo:octo/kit", kelvin) is None
    assert SEARCH.problem("repo:octo/\u212ait", kelvin) is not None
    assert NAME.problem("\u212ait", kelvin) is not None


def test_a_long_text_is_refused_before_it_is_read() -> None:
    text = "repo:octo/demo " + "x" * 256
    assert refused(ABBREVIATED, {"s": text}) == (
        "graphql.argument",
        "Query.search(query) must have at most 256 characters",
    )


def test_a_text_in_a_document_has_one_reading() -> None:
    """Older servers read escapes twice, and in block strings too."""
    comment = 'mutation{{addComment(input:{{subjectId:"I",body:{}}}){{clientMutationId}}}}'
    for literal in (r'"Fi\\u0078es other/repo#1"', r'"""Fi\u0078es other/repo#1"""', r'"a \\ b"'):
        assert refused(comment.format(literal)) == (
            "graphql.argument",
            "a text with a backslash must be put into a variable",
        )
    for literal in (r'"Fi\u0000xes other/repo#1"', r'"Fi\u{0}xes other/repo#1"'):
        assert refused(comment.format(literal))[0] == "graphql.malformed"
        assert (
            refused(f'query($o:String={literal}){{repository(owner:$o,name:"demo"){{id}}}}')[0] == "graphql.malformed"
        )
    printed = json.loads(read(comment.format('"""one "two"\nthree"""')).content)["query"]
    assert r'body: "one \"two\"\nthree"' in printed
    given = {"b": r"C:\path \u0078"}
    asked = 'mutation($b:String!){addComment(input:{subjectId:"I",body:$b}){clientMutationId}}'
    assert json.loads(read(asked, given).content)["variables"] == given
