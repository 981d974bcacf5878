"""A value that is not allowed is refused by its name, with a sentence that says what is, and is never echoed."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from api import fields, problem
from names_table import ILLEGAL_BRANCHES, ILLEGAL_REPOSITORIES, LEGAL_BRANCHES, LEGAL_OWNERS, LEGAL_REPOSITORIES

TOKEN = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
ECHO = "canary-0123456789"

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("repo", {"repo": None}, "valid string"),
    ("repo", {"repo": 1}, "valid string"),
    ("repo", {"repo": ["owner/repo"]}, "valid string"),
    ("repo", {"repo": f"{ECHO}"}, "must be owner/name"),
    ("repo", {"repo": "o/" + "x" * 500}, "at most 200 characters"),
    ("target_branch", {"target_branch": f"{ECHO}..x"}, "git check-ref-format"),
    ("target_branch", {"target_branch": ""}, "git check-ref-format"),
    ("branch", {"branch": f"refs/heads/{ECHO}"}, "git check-ref-format"),
    ("branch", {"branch": "main", "target_branch": "main"}, "must not be the target branch"),
    ("title", {"title": ""}, "at least 1 character"),
    ("title", {"title": "  "}, "one line of printable characters"),
    ("title", {"title": f"{ECHO}\n"}, "one line of printable characters"),
    ("title", {"title": "right\u202eleft"}, "one line of printable characters"),
    ("title", {"title": "a\0b"}, "one line of printable characters"),
    ("title", {"title": "x" * 257}, "at most 256 characters"),
    ("labels", {"labels": "bug"}, "valid list"),
    ("labels", {"labels": ["x"] * 21}, "at most 20 items"),
    ("labels.0", {"labels": [1]}, "valid string"),
    ("labels.1", {"labels": ["bug", "x" * 51]}, "at most 50 characters"),
    ("labels.0", {"labels": ["\x1b[31m"]}, "one line of printable characters"),
    ("environment", {"environment": ECHO}, "must be one of host"),
    ("environment", {"environment": "../x"}, "must be a name of at most 32"),
    ("environment", {"environment": "x" * 33}, "at most 32 characters"),
    ("environment", {"environment": 7}, "valid string"),
    ("setup", {"setup": 7}, "must be a command, true or false"),
    ("setup", {"setup": [ECHO]}, "must be a command, true or false"),
    ("setup", {"setup": ""}, "must be a command, true or false"),
    ("setup", {"setup": " \n"}, "must not be blank"),
    ("setup", {"setup": "x\0"}, "must not contain NUL"),
    ("setup", {"setup": "x" * 65_537}, "at most 65536 characters"),
    ("submodules", {"submodules": ["o/r"] * 51}, "at most 50 items"),
    ("submodules.0", {"submodules": ["../x"]}, "must be owner/name"),
    ("allow_workflows", {"allow_workflows": "yes"}, "valid boolean"),
    ("allow_workflows", {"allow_workflows": 1}, "valid boolean"),
    ("command", {"command": ["ls"]}, "valid string"),
    ("command", {"command": ""}, "at least 1 character"),
    ("command", {"command": " \n"}, "must not be blank"),
    ("command", {"command": f"{ECHO}\0"}, "must not contain NUL"),
    ("command", {"command": "x" * 65_537}, "at most 65536 characters"),
    ("command", {"command": "é" * 40_000}, "at most 65536 bytes"),
    ("prompt", {"prompt": ECHO}, "this server has no agents; send a command"),
    ("prompt", {"prompt": ECHO, "command": "true"}, "cannot be combined with a command; send one of the two"),
    ("agent", {"agent": ECHO}, "needs a prompt beside it"),
    ("model", {"model": ECHO}, "needs a prompt beside it"),
    ("env", {"env": []}, "valid dictionary"),
    ("env", {"env": {f"A{i}": "x" for i in range(65)}}, "at most 64 items"),
    ("env.A", {"env": {"A": 1}}, "valid string"),
    ("env", {"env": {"1A": "x"}}, "letters, digits and '_'"),
    ("env", {"env": {"A=B": "x"}}, "letters, digits and '_'"),
    ("env", {"env": {"": "x"}}, "letters, digits and '_'"),
    ("env", {"env": {"Ä": "x"}}, "letters, digits and '_'"),
    *(
        ("env", {"env": {name: ECHO}}, "are reserved")
        for name in ("GIT_DIR", "GH_TOKEN", "GITHUB_TOKEN", "LD_PRELOAD", "git_dir", "Ld_X")
    ),
    ("env", {"env": {"A": "x\0"}}, "without NUL"),
    ("env", {"env": {"A": "x" * 65_537}}, "at most 65536 bytes"),
    ("env", {"env": {"A": f"https://{TOKEN}@github.com"}}, "looks like a GitHub token"),
    ("env", {"env": {"A": "github_pat_" + "x" * 40}}, "looks like a GitHub token"),
    ("timeout_seconds", {"timeout_seconds": 0}, "greater than or equal to 1"),
    ("timeout_seconds", {"timeout_seconds": 604_801}, "less than or equal to 604800"),
    ("timeout_seconds", {"timeout_seconds": 1.5}, "valid integer"),
    ("timeout_seconds", {"timeout_seconds": "60"}, "valid integer"),
    ("timeout_seconds", {"timeout_seconds": True}, "valid integer"),
    ("commit_message", {"commit_message": "\n"}, "must not be blank"),
    ("publish", {"publish": "draft"}, "object"),
    ("publish.mode", {"publish": {"mode": ECHO}}, "'draft', 'ready', 'branch' or 'dry_run'"),
    ("publish.title", {"publish": {"title": "a\nb"}}, "one line of printable characters"),
    ("publish.body", {"publish": {"body": "\0"}}, "must not contain NUL"),
    ("publish.reviewers.0", {"publish": {"reviewers": ["_x"]}}, "GitHub user name"),
    *(
        ("publish.reviewers.0", {"publish": {"reviewers": [name]}}, "or a team as organization/team")
        for name in ("acme/", "/platform", "acme/a/b", "acme/a b", "acme/plat\nform", "@acme/platform")
    ),
    ("publish.reviewers", {"publish": {"reviewers": ["x"] * 16}}, "at most 15 items"),
    ("publish.labels", {"publish": {"labels": ["x"] * 21}}, "at most 20 items"),
    (
        "schedule",
        {"schedule": "0 6 * * MON"},
        "there is no such field here; POST /schedules creates sessions repeatedly",
    ),
    ("publish.unknown", {"publish": {"unknown": ECHO}}, "there is no such field"),
    ("labls", {"labls": ECHO}, "there is no such field"),
    ("owner", {"owner": {"subject": "bob"}}, "there is no such field"),
    ("id", {"id": "ses_x"}, "there is no such field"),
]


@pytest.mark.parametrize(("field", "values", "sentence"), REFUSED)
async def test_a_wrong_value_is_told_by_its_name_and_not_echoed(
    http: httpx2.AsyncClient, field: str, values: dict[str, Any], sentence: str
) -> None:
    answer = await http.post("/sessions", json={"repo": "owner/repo", **values})
    assert fields(answer) == [field]
    assert sentence in answer.json()["errors"][0]["message"]
    assert ECHO not in answer.text
    assert TOKEN not in answer.text
    assert len(answer.content) < 2000


@pytest.mark.parametrize("field", ["branch", "target_branch"])
async def test_illegal_branches_are_refused(http: httpx2.AsyncClient, field: str) -> None:
    for name in ILLEGAL_BRANCHES:
        assert fields(await http.post("/sessions", json={"repo": "o/r", field: name})) == [field], name


async def test_legal_branches_are_kept_as_they_are(http: httpx2.AsyncClient) -> None:
    for name in LEGAL_BRANCHES:
        session = await http.post("/sessions", json={"repo": "o/r", "branch": name, "target_branch": f"x/{name}"})
        assert (session.json()["branch"], session.json()["target_branch"]) == (name, f"x/{name}")


async def test_illegal_repositories_are_refused(http: httpx2.AsyncClient) -> None:
    for name in ILLEGAL_REPOSITORIES:
        assert fields(await http.post("/sessions", json={"repo": name})) == ["repo"], name
        assert fields(await http.get("/sessions", params={"repo": name})) == ["repo"], name


async def test_owners_of_any_spelling_may_be_asked_to_review(http: httpx2.AsyncClient) -> None:
    for name in LEGAL_OWNERS:
        wanted = [name, f"{name}/platform"]
        session = await http.post("/sessions", json={"repo": "o/r", "publish": {"reviewers": wanted}})
        assert session.json()["runs"][0]["instruction"]["publish"]["reviewers"] == wanted


async def test_legal_repositories_are_kept_as_they_are(http: httpx2.AsyncClient) -> None:
    for name in LEGAL_REPOSITORIES:
        session = await http.post("/sessions", json={"repo": name, "submodules": [name]})
        assert (session.json()["repo"], session.json()["submodules"]) == (name, [name])


async def test_names_in_every_script_and_emoji_are_allowed(http: httpx2.AsyncClient) -> None:
    """Also of those that came after this Python's tables, and those that are joined."""
    title, label = "grün 日本語 👩\u200d💻 \U0001fae8", "می\u200cخواهم"
    answer = await http.post("/sessions", json={"repo": "o/r", "title": f" {title} ", "labels": [label]})
    assert (answer.json()["title"], answer.json()["labels"]) == (title, [label])


async def test_the_longest_values_are_allowed(http: httpx2.AsyncClient) -> None:
    body = {
        "repo": "o/r",
        "title": "x" * 256,
        "labels": ["x" * 50] * 20,
        "command": "é" * 32_768,
        "env": {"A" * 128: "x" * 65_536},
        "timeout_seconds": 604_800,
        "publish": {
            "mode": "dry_run",
            "body": "x" * 65_536,
            "reviewers": ["octo-cat_corp", "acme/platform_2", "a" * 100 + "/" + "b" * 100],
        },
    }
    answer = await http.post("/sessions", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["runs"][0]["instruction"]["command"] == body["command"]


async def test_all_wrong_values_are_told_at_once_but_not_without_end(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/sessions", json={"repo": 1, "title": 1, "env": 1})
    assert fields(answer) == ["repo", "title", "env"] or sorted(fields(answer)) == ["env", "repo", "title"]
    flood = {"repo": "o/r", **{f"{ECHO}-{number:06}-{'x' * 200}": 1 for number in range(2000)}}
    answer = await http.post("/sessions", json=flood)
    assert len(fields(answer)) == 50
    assert len(answer.content) < 20_000


@pytest.mark.parametrize("body", [{"command": ""}, {"repo": "o/r"}, {"publish": {"mode": "x"}}, {"branch": "x"}])
async def test_a_follow_up_is_checked_like_the_first_run(http: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    """And has nothing of a session."""
    session = (await http.post("/sessions", json={"repo": "o/r"})).json()
    assert len(fields(await http.post(f"/sessions/{session['id']}/runs", json=body))) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"title": ""}, "title"),
        ({"labels": ["x"] * 21}, "labels"),
        ({"archived": "yes"}, "archived"),
        ({"state": "succeeded"}, "state"),
        ({"branch": "x"}, "branch"),
    ],
)
async def test_a_change_is_checked_too(http: httpx2.AsyncClient, body: dict[str, Any], field: str) -> None:
    session = (await http.post("/sessions", json={"repo": "o/r"})).json()
    assert fields(await http.patch(f"/sessions/{session['id']}", json=body)) == [field]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"state": "done"}, "state"),
        ({"limit": "0"}, "limit"),
        ({"limit": "201"}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "x" * 301}, "cursor"),
        ({"label": "\0"}, "label"),
        ({"label": "x" * 51}, "label"),
        ({"archived": "perhaps"}, "archived"),
    ],
)
async def test_what_a_list_is_asked_for_is_checked(http: httpx2.AsyncClient, query: dict[str, str], field: str) -> None:
    assert fields(await http.get("/sessions", params=query)) == [field]


@pytest.mark.parametrize("identifier", ["x", "ses_", "%00", "ses_%00", "ses_" + "0" * 17, "'%20OR%201=1", "%ff", "🫨"])
async def test_what_is_no_id_is_not_found(http: httpx2.AsyncClient, identifier: str) -> None:
    session = (await http.post("/sessions", json={"repo": "o/r"})).json()
    problem(await http.get(f"/sessions/{identifier}"), 404, "not_found")
    problem(await http.get(f"/sessions/{session['id']}/runs/{identifier}"), 404, "not_found")
    problem(await http.get(f"/sessions/{identifier}/events"), 404, "not_found")
