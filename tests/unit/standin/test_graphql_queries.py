"""GraphQL as GitHub answers it: its errors, what a token reaches, and the ways from one repository to all others."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from gitward_standin import StandIn, Token, TokenKind
from gitward_standin.example import CANARY, Example
from gitward_standin.node_ids import encode

from .conftest import Api, GraphQL

World = tuple[StandIn, Example]
SECOND = "second-token"
DEMO = 'repository(owner: "octo-org", name: "demo")'

pytestmark = pytest.mark.asyncio(loop_scope="module")


class TestErrors:
    async def test_a_repository_that_is_not_there(self, ask: GraphQL) -> None:
        query = 'query Name {\n  repository(owner: "octo-org", name: "none") { id }\n}'
        assert await ask(query) == {
            "data": {"repository": None},
            "errors": [
                {
                    "type": "NOT_FOUND",
                    "path": ["repository"],
                    "locations": [{"line": 2, "column": 3}],
                    "message": "Could not resolve to a Repository with the name 'octo-org/none'.",
                }
            ],
        }

    @pytest.mark.parametrize(
        ("query", "path", "message"),
        [
            ('{ user(login: "none") { id } }', ["user"], "a User with the login of 'none'"),
            ('{ organization(login: "x") { id } }', ["organization"], "an Organization with the login of 'x'"),
            ('{ node(id: "R_x") { id } }', ["node"], "a node with the global id of 'R_x'"),
            (
                "{ %s { pullRequest(number: 9) { id } } }",
                ["repository", "pullRequest"],
                "a PullRequest with the number of 9",
            ),
            ("{ %s { issue(number: 1) { id } } }", ["repository", "issue"], "an Issue with the number of 1"),
            (
                "{ %s { it: issueOrPullRequest(number: 9) { __typename } } }",
                ["repository", "it"],
                "an issue or pull request with the number of 9",
            ),
        ],
    )
    async def test_what_is_not_there(self, ask: GraphQL, query: str, path: list[str], message: str) -> None:
        (error,) = (await ask(query.replace("%s", DEMO)))["errors"]
        assert (error["type"], error["path"], error["message"]) == (
            "NOT_FOUND",
            path,
            f"Could not resolve to {message}.",
        )

    async def test_an_unknown_field(self, ask: GraphQL) -> None:
        answer = await ask("query Q { viewer { ... on User { nothing } } }")
        assert answer == {
            "errors": [
                {
                    "path": ["query Q", "viewer", "... on User", "nothing"],
                    "extensions": {"code": "undefinedField", "typeName": "User", "fieldName": "nothing"},
                    "locations": [{"line": 1, "column": 34}],
                    "message": "Field 'nothing' doesn't exist on type 'User'",
                }
            ]
        }

    @pytest.mark.parametrize(
        ("query", "variables", "message"),
        [
            ("{ viewer {", {}, "Syntax Error"),
            ("query Q($n: Int!) { viewer { login } }", {"n": 1}, "never used"),
            ("query Q($o: String!) { user(login: $o) { id } }", {}, "to be provided"),
            ("query A { viewer { id } } query B { viewer { id } }", {}, "operation"),
            ("{ a: viewer { id } a: rateLimit { cost } }", {}, "conflict"),
        ],
    )
    async def test_an_invalid_request_has_no_data(
        self, ask: GraphQL, query: str, variables: dict[str, Any], message: str
    ) -> None:
        answer = await ask(query, **variables)
        assert list(answer) == ["errors"]
        assert message in answer["errors"][0]["message"]

    async def test_one_name_may_have_two_types(self, ask: GraphQL) -> None:
        """As on GitHub, and against the specification: gh asks so for `state`."""
        query = "{ %s { issueOrPullRequest(number: 1) { ... on Issue { state } ... on PullRequest { state } } } }"
        data = await ask.data(query.replace("%s", DEMO))
        assert data["repository"]["issueOrPullRequest"]["state"] == "OPEN"

    async def test_a_body_must_be_an_object_with_a_query(self, read: Api) -> None:
        for body, message in (
            (b"[]", "A query attribute"),
            (b'{"query": 1}', "A query attribute"),
            (b'{"query": "{viewer{id}}", "variables": []}', "Variables must"),
            (b"{", "Problems"),
            (b"[" * 100_000, "Problems"),
        ):
            answer = await read("POST", "/api/graphql", base=read.standin.url, data=body)
            assert answer.status == 400
            assert answer.json["message"].startswith(message)

    @pytest.mark.parametrize("query", ["{viewer" * 20_000, "{viewer{organizations" * 500 + "{id}" + "}}" * 500])
    async def test_depth_is_bounded(self, ask: GraphQL, query: str) -> None:
        assert list(await ask(query)) == ["errors"]

    async def test_a_missing_scope_refuses_the_whole_document(self, ask: GraphQL, world: World) -> None:
        """Even when no team is asked for a review: a classic token needs read:org for the question."""
        world[0].add_token(SECOND, Token(login="octocat"))
        query = (
            "{ %s { pullRequest(number: 1) { reviewRequests(first: 9) { nodes { requestedReviewer { "
            "... on User { login } ... on Team { name organization { login } } } } } } } }"
        )
        answer = await ask(query.replace("%s", DEMO), token=SECOND)
        assert list(answer) == ["errors"]
        assert {error["type"] for error in answer["errors"]} == {"INSUFFICIENT_SCOPES"}
        assert answer["errors"][0]["message"].startswith(
            "Your token has not been granted the required scopes to execute this query. The 'name' field requires one "
            "of the following scopes: ['read:org', 'read:discussion'], but your token has only been granted the: "
            "['repo', 'user:email'] scopes."
        )
        for token in (
            Token(login="octocat", kind=TokenKind.FINE_GRAINED),
            Token(login="octocat", scopes=("repo", "admin:org")),
        ):
            world[0].add_token(SECOND, token)
            await ask.data(query.replace("%s", DEMO), token=SECOND)

    async def test_sso(self, ask: GraphQL, world: World) -> None:
        world[0].add_token(SECOND, Token(login="octocat", sso_required=True))
        answer = await ask("{ %s { id } }".replace("%s", DEMO), token=SECOND)
        assert answer["data"] == {"repository": None}
        (error,) = answer["errors"]
        assert (error["type"], error["extensions"]) == ("FORBIDDEN", {"saml_failure": True})
        assert error["message"].startswith("Resource protected by organization SAML enforcement.")

    async def test_classic_projects_are_gone_where_that_is_wanted(self, ask: GraphQL, world: World) -> None:
        query = "{ %s { issue(number: 3) { projectCards(first: 1) { totalCount } } } }".replace("%s", DEMO)
        assert (await ask.data(query))["repository"]["issue"]["projectCards"]["totalCount"] == 0
        world[0].site.classic_projects = False
        (error,) = (await ask(query))["errors"]
        assert error["message"].startswith("Projects (classic) is being deprecated")
        assert error["path"] == ["repository", "issue", "projectCards"]
        world[0].site.classic_projects = True


class TestReach:
    """What a token may see it reaches, from whatever place: the stand-in keeps nothing back."""

    @pytest.mark.parametrize(
        "query",
        [
            "{ %s { owner { repositories(first: 9) { nodes { description } } } } }",
            '{ %s { owner { repository(name: "secret") { issues(first: 9) { nodes { title } } } } } }',
            "{ %s { issue(number: 3) { repository { owner { ... on Organization { repositories(first: 9) "
            "{ nodes { pullRequests(first: 9) { nodes { body } } } } } } } } } }",
            "{ viewer { repositories(first: 9) { nodes { nameWithOwner description } } } }",
            "{ viewer { organizations(first: 9) { nodes { repositories(first: 9) { nodes { description } } } } } }",
            '{ search(query: "in a pull request", type: ISSUE, first: 9) { nodes { ... on PullRequest { title } } } }',
            '{ search(query: "secret", type: REPOSITORY, first: 9) { nodes { ... on Repository { description } } } }',
            '{ search(query: "stranger", type: USER, first: 9) { nodes { ... on User { name } } } }',
            '{ user(login: "stranger") { issues(first: 9) { nodes { title } } } }',
            '{ resource(url: "https://github.com/octo-org/secret/pull/1") { ... on PullRequest { body } } }',
            '{ a: repository(owner: "octo-org", name: "secret") { object(expression: "main:README.md") '
            "{ ... on Blob { text } } } }",
            '{ repository(owner: "octo-org", name: "open") { labels(first: 9) { nodes { name } } } }',
            '{ node(id: "ID") { ... on Repository { description } } }',
            '{ node(id: "OLD") { ... on Repository { description } } }',
            '{ nodes(ids: ["ID"]) { ... { ...on Repository { ...F } } } } '
            "fragment F on Repository { releases(first: 9) { nodes { tagName } } }",
        ],
    )
    async def test_other_repositories_of_the_token(self, ask: GraphQL, world: World, query: str) -> None:
        secret = world[0].repository("octo-org/secret")
        old = base64.b64encode(f"013:Repository{secret.id}".encode()).decode()
        query = query.replace("%s", DEMO).replace("ID", encode("Repository", secret.id)).replace("OLD", old)
        assert CANARY in str(await ask.data(query))

    @pytest.mark.parametrize(
        "token",
        [
            Token(login="octocat", kind=TokenKind.FINE_GRAINED, repositories=("octo-org/demo",)),
            Token(login="hubot"),
            Token(login=None, kind=TokenKind.APP, repositories=("octo-org/demo",)),
        ],
    )
    async def test_what_a_token_does_not_see_is_not_there(self, ask: GraphQL, world: World, token: Token) -> None:
        standin, _ = world
        standin.add_token(SECOND, token)
        for name in ("octo-org/secret", "octocat/own", "stranger/hidden"):
            other = standin.repository(name)
            owner, _, short = name.partition("/")
            ids = (encode("Repository", other.id), encode("PullRequest", other.id, other.pulls[0].id))
            for query in (
                f'{{ repository(owner: "{owner}", name: "{short}") {{ id }} }}',
                f'{{ resource(url: "https://github.com/{name}") {{ ... on Repository {{ id }} }} }}',
                *(f'{{ node(id: "{node_id}") {{ id }} }}' for node_id in ids),
            ):
                (error,) = (await ask(query, token=SECOND))["errors"]
                assert error["type"] == "NOT_FOUND"
        everything = (
            '{ search(query: "CANARY", type: ISSUE, first: 99) { nodes { ... on Issue { repository { nameWithOwner } } '
            "... on PullRequest { repository { nameWithOwner } } } } viewer { repositories(first: 9) { nodes "
            '{ nameWithOwner } } } user(login: "stranger") { issues(first: 9) { nodes { repository '
            "{ nameWithOwner } } } } }"
        )
        found = str(await ask.data(everything, token=SECOND))
        assert "octo-org/open" in found  # it is public
        assert not [name for name in ("octo-org/secret", "octocat/own", "stranger/hidden") if name in found]

    async def test_the_viewer_of_an_app_is_its_bot(self, ask: GraphQL, world: World) -> None:
        world[0].add_token(SECOND, Token(login=None, kind=TokenKind.APP))
        assert (await ask.data("{ viewer { login id } }", token=SECOND))["viewer"]["login"] == "standin-app[bot]"

    async def test_collaborators_are_for_those_who_may_push(self, ask: GraphQL, world: World) -> None:
        query = '{ repository(owner: "octo-org", name: "open") { collaborators(first: 9) { nodes { login } } } }'
        assert (await ask.data(query))["repository"]["collaborators"]["nodes"] == [{"login": "octocat"}]
        world[0].add_token(SECOND, Token(login="hubot"))
        assert (await ask(query, token=SECOND))["errors"][0]["type"] == "FORBIDDEN"

    async def test_every_kind_of_node_has_an_id_that_finds_it(self, ask: GraphQL, world: World) -> None:
        pull = (
            "id author { ... on User { id } } labels(first: 1) { nodes { id } } comments(first: 1) { nodes { id } } "
            "reviews(first: 1) { nodes { id } } milestone { id } headRef { id } commits(first: 1) { nodes { commit { "
            "id tree { id } statusCheckRollup { id contexts(first: 9) { nodes { ... on CheckRun { id checkSuite { id "
            "workflowRun { id workflow { id } } } } ... on StatusContext { id } } } } } } }"
        )
        query = (
            f"{{ {DEMO} {{ id owner {{ id }} pullRequest(number: 1) {{ {pull} }} issue(number: 3) {{ id }} "
            'latestRelease { id } object(expression: "main:README.md") { id } } '
            'organization(login: "octo-org") { team(slug: "reviewers") { id } } }'
        )
        ids = set(_ids(await ask.data(query)))
        answer = await ask.data("query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }", ids=sorted(ids))
        assert {node["id"] for node in answer["nodes"]} == ids
        assert len({node["__typename"] for node in answer["nodes"]}) == 21

    async def test_unknown_ids_among_known_ones(self, ask: GraphQL, world: World) -> None:
        known = encode("Repository", world[1].repository.id)
        answer = await ask("query($ids: [ID!]!) { nodes(ids: $ids) { __typename } }", ids=[known, "nothing"])
        assert answer["data"]["nodes"] == [{"__typename": "Repository"}, None]
        assert answer["errors"][0]["path"] == ["nodes", 1]


def _ids(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for each in value for found in _ids(each)]
    if isinstance(value, dict):
        own = [value["id"]] if "id" in value else []
        return own + [found for each in value.values() for found in _ids(each)]
    return []


class TestLists:
    async def test_pages(self, ask: GraphQL) -> None:
        query = (
            'query($after: String) { %s { refs(refPrefix: "refs/heads/", first: 3, after: $after) { totalCount '
            "nodes { name } pageInfo { hasNextPage hasPreviousPage endCursor } } } }"
        ).replace("%s", DEMO)
        first = (await ask.data(query))["repository"]["refs"]
        assert (first["totalCount"], [ref["name"] for ref in first["nodes"]]) == (4, ["done", "fresh", "main"])
        assert (first["pageInfo"]["hasNextPage"], first["pageInfo"]["hasPreviousPage"]) == (True, False)
        last = (await ask.data(query, after=first["pageInfo"]["endCursor"]))["repository"]["refs"]
        assert ([ref["name"] for ref in last["nodes"]], last["pageInfo"]["hasNextPage"]) == (["topic"], False)

    @pytest.mark.parametrize(
        ("arguments", "type_"),
        [
            ("", "MISSING_PAGINATION_BOUNDARIES"),
            ("(first: 101)", "EXCESSIVE_PAGINATION"),
            ('(first: 1, after: "x")', "INVALID_CURSOR_ARGUMENTS"),
        ],
    )
    async def test_bounds(self, ask: GraphQL, arguments: str, type_: str) -> None:
        answer = await ask(f"{{ {DEMO} {{ issues{arguments} {{ nodes {{ id }} }} }} }}")
        assert answer["errors"][0]["type"] == type_

    async def test_a_count_needs_no_bounds(self, ask: GraphQL) -> None:
        assert (await ask.data(f"{{ {DEMO} {{ issues {{ totalCount }} }} }}"))["repository"]["issues"] == {
            "totalCount": 2
        }

    @pytest.mark.parametrize(
        ("field", "numbers"),
        [
            ("pullRequests(first: 9)", [1, 2]),
            ("pullRequests(first: 9, states: OPEN)", [1]),
            ('pullRequests(first: 9, headRefName: "done")', [2]),
            ('pullRequests(first: 9, baseRefName: "done")', []),
            ('pullRequests(first: 9, labels: ["BUG"])', [1]),
            ("pullRequests(first: 9, orderBy: {field: CREATED_AT, direction: DESC})", [2, 1]),
            ("pullRequests(last: 1)", [2]),
            ("issues(first: 9, states: [OPEN])", [3]),
            ("issues(first: 9, filterBy: {states: [CLOSED]})", [4]),
            ('issues(first: 9, filterBy: {createdBy: "hubot"})', [3]),
            ('issues(first: 9, filterBy: {createdBy: "@me"})', [4]),
            ('issues(first: 9, filterBy: {assignee: "octocat"})', [3]),
            ('issues(first: 9, filterBy: {assignee: "*"})', [3]),
            ('issues(first: 9, filterBy: {mentioned: "octocat"})', [3]),
            ('issues(first: 9, labels: ["bug"])', [3]),
        ],
    )
    async def test_filters(self, ask: GraphQL, field: str, numbers: list[int]) -> None:
        name = field.partition("(")[0]
        nodes = (await ask.data(f"{{ {DEMO} {{ {field} {{ nodes {{ number }} }} }} }}"))["repository"][name]["nodes"]
        assert [node["number"] for node in nodes] == numbers

    @pytest.mark.parametrize(
        ("query", "numbers"),
        [
            ("repo:octo-org/demo is:pr", {1, 2}),
            ("repo:octo-org/demo is:pr is:open", {1}),
            ("repo:octo-org/demo type:pr state:closed author:@me", {2}),
            ("repo:octo-org/demo -is:pr", {3, 4}),
            ("repo:octo-org/demo review-requested:hubot", {1}),
            ("repo:octo-org/demo assignee:@me", {3}),
            ("repo:octo-org/demo mentions:octocat", {3}),
            ('repo:octo-org/demo label:"bug" is:issue', {3}),
            ("repo:octo-org/demo head:topic draft:true", {1}),
            ("repo:octo-org/demo base:topic", set()),
            ("( topic ) repo:octo-org/demo", {1}),
            ("repo:octo-org/demo topic nowhere", set()),
            ("repo:stranger/hidden", set()),
        ],
    )
    async def test_search(self, ask: GraphQL, query: str, numbers: set[int]) -> None:
        document = (
            "query($q: String!) { search(query: $q, type: ISSUE, first: 50) { issueCount nodes { ... on Issue { "
            "number } ... on PullRequest { number } } } }"
        )
        found = (await ask.data(document, q=query))["search"]
        assert {node["number"] for node in found["nodes"]} == numbers
        assert found["issueCount"] == len(numbers)

    async def test_repositories_of_an_account(self, ask: GraphQL) -> None:
        for arguments, names in (
            ("first: 9, ownerAffiliations: OWNER", ["octocat/own"]),
            ("first: 9, affiliations: COLLABORATOR", []),
            ("first: 9, affiliations: ORGANIZATION_MEMBER, ownerAffiliations: [ORGANIZATION_MEMBER]", None),
            ("first: 9, privacy: PUBLIC", []),
        ):
            data = await ask.data(f"{{ viewer {{ repositories({arguments}) {{ nodes {{ nameWithOwner }} }} }} }}")
            found = [node["nameWithOwner"] for node in data["viewer"]["repositories"]["nodes"]]
            assert names is None or found == names
            assert names is not None or "octo-org/secret" in found


class TestIntrospection:
    async def test_types_can_be_asked_for(self, ask: GraphQL) -> None:
        """gh does so to find out what a server can."""
        query = '{ it: __type(name: "PullRequest") { fields(includeDeprecated: true) { name } } }'
        names = {field["name"] for field in (await ask.data(query))["it"]["fields"]}
        assert {"isInMergeQueue", "projectCards", "statusCheckRollup"} <= names
