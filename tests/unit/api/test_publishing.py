"""`POST …/publish`: the work of an ended run, published without running anything again."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from api import Api, fields, make_api, problem
from gitward.sessions import artifacts
from gitward.sessions.artifacts import Origin
from gitward.sessions.model import ArtifactKind, Owner, RunState
from tests_support import Backend

Json = dict[str, Any]
PUBLISH = {"mode": "ready", "title": "T", "body": "B", "labels": ["l"], "reviewers": ["r"]}


async def kept(backend: Backend, http: httpx2.AsyncClient, **body: Any) -> Json:
    """A session whose run failed after its work was kept."""
    session: Json = (await http.post("/sessions", json={"repo": "owner/repo", "command": "make", **body})).json()
    run_id = session["runs"][0]["id"]
    with backend.database.transaction() as tx:
        artifacts.store(tx, Origin(run_id=run_id, attempt=1), ArtifactKind.BUNDLE, b"work")
    await backend.end(run_id, RunState.FAILED)
    return session


def address(session: Json) -> str:
    return f"/sessions/{session['id']}/runs/{session['runs'][0]['id']}/publish"


async def test_the_answer_is_the_run_that_does_it(api: Api, http: httpx2.AsyncClient) -> None:
    """201 when it is new, 200 when it was asked for before; a body is not needed."""
    session = await kept(api.backend, http, publish=PUBLISH)
    answer = await http.post(address(session))
    run = answer.json()
    assert answer.status_code == 201
    assert (run["number"], run["publish_of"], run["retry_of"]) == (2, session["runs"][0]["id"], None)
    assert run["instruction"] == {
        **{"command": None, "prompt": None, "budget": None, "env": {}, "setup": None},
        **{"timeout_seconds": None, "commit_message": None},
        "publish": PUBLISH,
    }
    again = await http.post(address(session), json={})
    assert (again.status_code, again.json()["id"]) == (200, run["id"])
    shown = (await http.get(f"/sessions/{session['id']}")).json()["runs"]
    assert [each["publish_of"] for each in shown] == [None, session["runs"][0]["id"]]


async def test_what_the_body_names_is_as_it_says(api: Api, http: httpx2.AsyncClient) -> None:
    session = await kept(api.backend, http, publish={**PUBLISH, "mode": "dry_run"})
    wanted: Json = {"title": "New", "labels": [], "body": None}
    run = (await http.post(address(session), json={"publish": wanted})).json()
    assert run["instruction"]["publish"] == {**PUBLISH, "mode": "draft", "title": "New", "labels": []}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"publish": {"mode": "dry_run"}}, "publish.mode"),
        ({"publish": {"mode": "merge"}}, "publish.mode"),
        ({"publish": {"title": "a\nb"}}, "publish.title"),
        ({"publish": {"labels": [""]}}, "publish.labels.0"),
        ({"publish": {"reviewers": ["a b"]}}, "publish.reviewers.0"),
        ({"publish": None}, "publish"),
        ({"command": "make"}, "command"),
    ],
)
async def test_what_cannot_be_published_so_is_refused(
    api: Api, http: httpx2.AsyncClient, body: Json, field: str
) -> None:
    session = await kept(api.backend, http)
    assert fields(await http.post(address(session), json=body)) == [field]
    assert len((await http.get(f"/sessions/{session['id']}")).json()["runs"]) == 1


async def test_the_sentence_says_why_there_is_nothing_to_publish(api: Api, http: httpx2.AsyncClient) -> None:
    session = (await http.post("/sessions", json={"repo": "owner/repo"})).json()
    assert "still queued" in problem(await http.post(address(session)), 409, "conflict")["detail"]
    await api.backend.end(session["runs"][0]["id"])
    assert "Nothing of run 1 is kept" in problem(await http.post(address(session)), 409, "conflict")["detail"]


async def test_a_repository_that_is_no_longer_served_is_not_published_to(backend: Backend, alice: Owner) -> None:
    async with make_api(backend).client(alice) as http:
        session = await kept(backend, http)
    async with make_api(backend, repo_globs=("acme/*",)).client(alice) as http:
        assert fields(await http.post(address(session))) == ["repo"]
    async with make_api(backend, repo_globs=("owner/*",)).client(alice) as http:
        assert (await http.post(address(session))).status_code == 201
