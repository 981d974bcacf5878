"""Issues, comments and labels over REST; a pull request is an issue too."""

from __future__ import annotations

import pytest

from gitward_standin import StandIn, Token, TokenKind
from gitward_standin.example import Example

from .conftest import Api

World = tuple[StandIn, Example]
ISSUES = "/repos/octo-org/demo/issues"
SECOND = "second-token"


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", [3, 1]),
        ("?state=all", [4, 3, 2, 1]),
        ("?state=closed", [4, 2]),
        ("?creator=hubot", [3]),
        ("?assignee=OCTOCAT", [3]),
        ("?labels=Bug", [3, 1]),
        ("?labels=bug,help", []),
        ("?per_page=1", [3]),
    ],
)
async def test_the_list(rest: Api, query: str, numbers: list[int]) -> None:
    assert [issue["number"] for issue in (await rest("GET", ISSUES + query)).json] == numbers


async def test_one(rest: Api) -> None:
    issue = (await rest("GET", f"{ISSUES}/3")).json
    assert (issue["title"], issue["user"]["login"], issue["comments"]) == ("It is broken", "hubot", 1)
    assert [label["name"] for label in issue["labels"]] == ["bug"]
    assert issue["node_id"].startswith("I_kwDO")
    assert "pull_request" not in issue
    pull = (await rest("GET", f"{ISSUES}/1")).json
    assert pull["pull_request"]["url"].endswith("/pulls/1")
    for number in ("9", "x", "-1"):
        assert (await rest("GET", f"{ISSUES}/{number}")).status == 404


async def test_create_and_update(rest: Api, example: World) -> None:
    made = await rest("POST", ISSUES, json={"title": "New", "body": "Text", "labels": ["new"], "assignees": ["hubot"]})
    assert made.status == 201
    assert made.headers["Location"] == made.json["url"] == f"https://api.github.com{ISSUES}/5"
    assert (made.json["labels"][0]["name"], made.json["assignee"]["login"]) == ("new", "hubot")
    changed = (
        await rest("PATCH", f"{ISSUES}/5", json={"state": "closed", "state_reason": "not_planned", "body": None})
    ).json
    assert (changed["state"], changed["state_reason"], changed["body"]) == ("closed", "not_planned", None)
    assert (await rest("PATCH", f"{ISSUES}/5", json={"state": "open", "labels": [], "assignees": []})).json[
        "labels"
    ] == []
    assert (await rest("PATCH", f"{ISSUES}/5", json={"state": "done"})).status == 422
    for body, message in (({}, "Invalid request."), ({"title": " "}, "Validation Failed")):
        refused = await rest("POST", ISSUES, json=body)
        assert (refused.status, refused.json["message"].startswith(message)) == (422, True)
    example[1].repository.issues_enabled = False
    assert (await rest("POST", ISSUES, json={"title": "x"})).status == 410


async def test_comments(rest: Api) -> None:
    made = await rest("POST", f"{ISSUES}/1/comments", json={"body": "Hello"})
    assert (made.status, made.json["body"], made.json["user"]["login"]) == (201, "Hello", "octocat")
    assert made.json["html_url"].startswith("https://github.com/octo-org/demo/pull/1#issuecomment-")
    listed = (await rest("GET", f"{ISSUES}/1/comments")).json
    assert [comment["body"] for comment in listed] == ["Looks good", "Hello"]
    path = f"{ISSUES}/comments/{made.json['id']}"
    assert (await rest("GET", path)).json["node_id"].startswith("IC_kwDO")
    assert (await rest("DELETE", path)).status == 204
    assert (await rest("GET", path)).status == 404
    refused = await rest("POST", f"{ISSUES}/1/comments", json={"body": " "})
    assert (refused.status, refused.json["errors"][0]["resource"]) == (422, "IssueComment")


async def test_labels(rest: Api) -> None:
    listed = (await rest("GET", "/repos/octo-org/demo/labels")).json
    assert [(label["name"], label["color"]) for label in listed] == [("bug", "d73a4a"), ("help", "008672")]
    added = await rest("POST", f"{ISSUES}/3/labels", json={"labels": [{"name": "HELP"}, "other"]})
    assert [label["name"] for label in added.json] == ["bug", "help", "other"]
    assert len((await rest("GET", f"{ISSUES}/3/labels")).json) == 3


@pytest.mark.parametrize(
    ("token", "repository", "status"),
    [
        (Token(login="stranger"), "octo-org/open", 201),
        (Token(login="stranger"), "octo-org/demo", 404),
        (Token(login="octocat", kind=TokenKind.FINE_GRAINED, push=False), "octo-org/demo", 403),
        (Token(login="octocat", scopes=("public_repo",)), "octo-org/open", 201),
        (Token(login="octocat", scopes=("user:email",)), "octo-org/open", 404),
    ],
)
async def test_who_reads_may_discuss(rest: Api, example: World, token: Token, repository: str, status: int) -> None:
    example[0].add_token(SECOND, token)
    answer = await rest("POST", f"/repos/{repository}/issues", token=SECOND, json={"title": "x"})
    assert answer.status == status
