"""Pull requests over REST: creation with GitHub's validation, search, change, labels and reviewers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gitward_standin import Repository, StandIn, Token, TokenKind

Api = Any  # the fixture's class lives in conftest.py
PULLS = "/repos/octo-org/demo/pulls"
SECOND = "second-token"


@pytest.fixture(autouse=True)
async def branch(repository: Repository) -> str:
    """The commit of branch `topic`, which is one commit ahead of `main`."""
    return await repository.commit("topic", {"new.txt": "new"}, start=await repository.head("main"))


async def create(api: Api, **values: Any) -> Any:
    return await api("POST", PULLS, json={"title": "A title", "head": "topic", "base": "main", **values})


def problem(answer: Any) -> tuple[int, str, list[dict[str, str]]]:
    return answer.status, answer.json["message"], answer.json.get("errors", [])


class TestCreate:
    async def test_a_draft(self, api: Api, repository: Repository, branch: str) -> None:
        answer = await create(api, body="Why", draft=True)
        shown = answer.json
        assert answer.status == 201
        assert answer.headers["Location"] == shown["url"] == "https://api.github.com/repos/octo-org/demo/pulls/1"
        assert shown["html_url"] == "https://github.com/octo-org/demo/pull/1"
        assert (shown["number"], shown["state"], shown["draft"]) == (1, "open", True)
        assert (shown["title"], shown["body"], shown["user"]["login"]) == ("A title", "Why", "octocat")
        assert (shown["head"]["ref"], shown["head"]["label"], shown["head"]["sha"]) == (
            "topic",
            "octo-org:topic",
            branch,
        )
        assert shown["base"]["ref"] == "main"
        assert shown["base"]["repo"]["full_name"] == "octo-org/demo"
        assert shown["node_id"].startswith("PR_kwDO")
        (kept,) = repository.pulls
        assert (kept.number, kept.head, kept.draft) == (1, "topic", True)
        assert await repository.resolve("refs/pull/1/head") == branch

    async def test_the_head_may_name_the_owner(self, api: Api) -> None:
        assert (await create(api, head="OCTO-org:topic")).status == 201

    async def test_a_second_one_is_refused(self, api: Api) -> None:
        await create(api)
        message = "A pull request already exists for octo-org:topic."
        expected = [{"resource": "PullRequest", "code": "custom", "message": message}]
        assert problem(await create(api)) == (422, "Validation Failed", expected)

    async def test_of_many_at_once_one_is_made(self, api: Api, repository: Repository) -> None:
        answers = await asyncio.gather(*(create(api) for _ in range(4)))
        assert sorted(answer.status for answer in answers) == [201, 422, 422, 422]
        assert len(repository.pulls) == 1

    async def test_a_closed_one_is_no_hindrance(self, api: Api) -> None:
        await create(api)
        assert (await api("PATCH", f"{PULLS}/1", json={"state": "closed"})).json["state"] == "closed"
        assert (await create(api)).json["number"] == 2

    @pytest.mark.parametrize(
        ("values", "errors"),
        [
            ({"head": "none"}, [{"resource": "PullRequest", "field": "head", "code": "invalid"}]),
            ({"head": "other:topic"}, [{"resource": "PullRequest", "field": "head", "code": "invalid"}]),
            ({"base": "none"}, [{"resource": "PullRequest", "field": "base", "code": "invalid"}]),
            ({"title": " "}, [{"resource": "Issue", "code": "missing_field", "field": "title"}]),
            (
                {"head": "main"},
                [{"resource": "PullRequest", "code": "custom", "message": "No commits between main and main"}],
            ),
            (
                {"body": "x" * 65_537},
                [
                    {
                        "resource": "Issue",
                        "code": "custom",
                        "field": "body",
                        "message": "body is too long (maximum is 65536 characters)",
                    }
                ],
            ),
        ],
    )
    async def test_validation(self, api: Api, values: dict[str, str], errors: list[dict[str, str]]) -> None:
        assert problem(await create(api, **values)) == (422, "Validation Failed", errors)

    async def test_branches_without_a_common_history(self, api: Api, repository: Repository) -> None:
        await repository.commit("orphan", {"alone.txt": "alone"})
        message = "The orphan branch has no history in common with main"
        expected = [{"resource": "PullRequest", "code": "custom", "message": message}]
        assert problem(await create(api, head="orphan")) == (422, "Validation Failed", expected)

    async def test_wrong_types_and_missing_fields(self, api: Api) -> None:
        assert "is not a string" in (await create(api, title=1)).json["message"]
        assert "is not a boolean" in (await create(api, draft="yes")).json["message"]
        answer = await api("POST", PULLS, json={"title": "x", "base": "main"})
        assert (answer.status, answer.json["message"]) == (422, 'Invalid request.\n\n"head" wasn\'t supplied.')
        for content, message in ((b"{", "Problems parsing JSON"), (b"[]", "Body should be a JSON object")):
            answer = await api("POST", PULLS, data=content)
            assert (answer.status, answer.json["message"]) == (400, message)

    async def test_drafts_can_be_unsupported(self, api: Api, repository: Repository) -> None:
        repository.drafts = False
        message = "Draft pull requests are not supported in this repository."
        assert problem(await create(api, draft=True)) == (422, message, [])
        assert (await create(api)).status == 201

    @pytest.mark.parametrize(
        ("token", "status", "message"),
        [
            (Token(login="octocat", push=False), 403, "Resource not accessible by personal access token"),
            (
                Token(login="octocat", kind=TokenKind.FINE_GRAINED, push=False),
                403,
                "Resource not accessible by personal access token",
            ),
            (
                Token(login=None, kind=TokenKind.APP, push=False),
                403,
                "Resource not accessible by integration",
            ),
            (Token(login="reader"), 404, "Not Found"),
            (Token(login="octocat", scopes=("user:email",)), 404, "Not Found"),
        ],
    )
    async def test_rights(self, api: Api, standin: StandIn, token: Token, status: int, message: str) -> None:
        await standin.add_repository("octo-org/read", permissions={"reader": "pull", "octocat": "push"})
        standin.add_token(SECOND, token)
        answer = await api(
            "POST", "/repos/octo-org/read/pulls", token=SECOND, json={"title": "x", "head": "a", "base": "main"}
        )
        assert (answer.status, answer.json["message"]) == (status, message)

    async def test_an_archived_repository_is_read_only(self, api: Api, repository: Repository) -> None:
        repository.archived = True
        assert problem(await create(api))[:2] == (403, "Repository was archived so is read-only.")

    async def test_an_app_is_the_author_as_its_bot(self, api: Api, standin: StandIn) -> None:
        standin.add_token(SECOND, Token(login=None, kind=TokenKind.APP))
        answer = await api("POST", PULLS, token=SECOND, json={"title": "x", "head": "topic", "base": "main"})
        assert answer.json["user"]["login"] == "standin-app[bot]"


class TestIndex:
    @pytest.fixture(autouse=True)
    async def pulls(self, api: Api, repository: Repository) -> None:
        """1: topic, open. 2: other, closed."""
        await create(api)
        await repository.commit("other", {"o": "o"}, start=await repository.head("main"))
        await create(api, head="other")
        await api("PATCH", f"{PULLS}/2", json={"state": "closed"})

    @pytest.mark.parametrize(
        ("query", "numbers"),
        [
            ("", [1]),
            ("?state=all", [2, 1]),
            ("?state=all&direction=asc", [1, 2]),
            ("?state=closed", [2]),
            ("?head=octo-org:topic", [1]),
            ("?head=OCTO-ORG:topic", [1]),
            ("?head=octo-org:other", []),
            ("?head=octo-org:other&state=all", [2]),
            ("?head=other-org:topic", []),
            ("?head=topic", [1]),
            ("?base=main", [1]),
            ("?base=topic", []),
        ],
    )
    async def test_filters(self, api: Api, query: str, numbers: list[int]) -> None:
        answer = await api("GET", PULLS + query)
        assert [pull["number"] for pull in answer.json] == numbers


class TestUpdate:
    async def test_text_state_and_base(self, api: Api, repository: Repository) -> None:
        await create(api, body="old")
        await repository.commit("release", {"r": "r"})
        answer = await api("PATCH", f"{PULLS}/1", json={"title": "New", "base": "release"})
        assert (answer.json["title"], answer.json["body"], answer.json["base"]["ref"]) == ("New", "old", "release")
        answer = await api("PATCH", f"{PULLS}/1", json={"body": None, "state": "closed"})
        assert (answer.json["body"], answer.json["state"]) == (None, "closed")
        assert answer.json["closed_at"] is not None
        answer = await api("PATCH", f"{PULLS}/1", json={"state": "open"})
        assert (answer.json["state"], answer.json["closed_at"]) == ("open", None)

    @pytest.mark.parametrize("number", ["2", "x", "-1", "٣"])
    async def test_unknown_numbers(self, api: Api, number: str) -> None:
        assert (await api("GET", f"{PULLS}/{number}")).status == 404
        assert (await api("PATCH", f"{PULLS}/{number}", json={})).status == 404

    async def test_invalid_values(self, api: Api) -> None:
        await create(api)
        for values in ({"state": "merged"}, {"base": "none"}, {"title": ""}):
            assert (await api("PATCH", f"{PULLS}/1", json=values)).status == 422

    async def test_it_follows_its_branch(self, api: Api, repository: Repository) -> None:
        await create(api)
        sha = await repository.commit("topic", {"more": "more"})
        assert (await api("GET", f"{PULLS}/1")).json["head"]["sha"] == sha
        assert await repository.resolve("refs/pull/1/head") == sha


class TestDecorations:
    async def test_labels_are_made_when_they_are_missing(self, api: Api, repository: Repository) -> None:
        await create(api)
        issue = "/repos/octo-org/demo/issues/1/labels"
        answer = await api("POST", issue, json={"labels": ["codemod", "bot"]})
        assert (answer.status, [label["name"] for label in answer.json]) == (200, ["codemod", "bot"])
        await api("POST", issue, json={"labels": ["Codemod"]})
        assert repository.pulls[0].labels == ["codemod", "bot"]
        assert (await api("POST", issue, json={"labels": [1]})).status == 422
        assert (await api("POST", issue, json={"labels": "x"})).status == 422

    async def test_reviewers_are_collaborators(self, api: Api, standin: StandIn, repository: Repository) -> None:
        repository.permissions["hubot"] = repository.permissions["octocat"]
        standin.add_user("hubot")
        await create(api)
        path = f"{PULLS}/1/requested_reviewers"
        answer = await api("POST", path, json={"reviewers": ["hubot"]})
        assert answer.status == 201
        assert [reviewer["login"] for reviewer in answer.json["requested_reviewers"]] == ["hubot"]
        for login, message in (
            ("octocat", "Review cannot be requested from pull request author."),
            ("nobody", "Reviews may only be requested from collaborators."),
        ):
            answer = await api("POST", path, json={"reviewers": [login]})
            assert answer.status == 422
            assert answer.json["message"].startswith(message)


class TestReviewers:
    """One who cannot be asked, and nobody is."""

    @pytest.fixture(autouse=True)
    async def path(self, api: Api, standin: StandIn, repository: Repository) -> str:
        for login in ("hubot", "stranger"):
            standin.add_user(login)
        repository.permissions["hubot"] = repository.permissions["octocat"]
        accounts = standin.site.accounts
        accounts.add_team("octo-org", "platform")
        accounts.add_team("octo-org", "elsewhere", repositories=("octo-org/other",))
        accounts.add_team("other-org", "foreign")
        await create(api)
        return f"{PULLS}/1/requested_reviewers"

    async def test_people_and_teams(self, api: Api, path: str) -> None:
        answer = await api("POST", path, json={"reviewers": ["hubot"], "team_reviewers": ["platform"]})
        assert answer.status == 201
        assert [reviewer["login"] for reviewer in answer.json["requested_reviewers"]] == ["hubot"]
        assert [team["slug"] for team in answer.json["requested_teams"]] == ["platform"]

    @pytest.mark.parametrize(
        ("bad", "message"),
        [
            ({"reviewers": ["hubot", "octocat"]}, "Review cannot be requested from pull request author."),
            ({"reviewers": ["hubot", "gone"]}, "One or more of the users or teams you specified is not a collaborator"),
            ({"reviewers": ["hubot", "stranger"]}, "not a collaborator of the octo-org/demo repository."),
            ({"reviewers": ["hubot"], "team_reviewers": ["none"]}, "One or more of the teams you specified is not a"),
            ({"team_reviewers": ["platform", "elsewhere"]}, "One or more of the teams you specified is not a"),
            ({"team_reviewers": ["platform", "foreign"]}, "One or more of the teams you specified is not a"),
            ({"team_reviewers": ["octo-org/platform"]}, "One or more of the teams you specified is not a"),
        ],
    )
    async def test_one_bad_one_refuses_all(
        self, api: Api, path: str, repository: Repository, bad: dict[str, list[str]], message: str
    ) -> None:
        answer = await api("POST", path, json=bad)
        assert answer.status == 422
        assert message in answer.json["message"]
        assert (repository.pulls[0].reviewers, repository.pulls[0].teams) == ([], [])
