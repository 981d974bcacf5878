"""The routes of sessions and runs, in the shapes of the contract."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from api import Api, fields, make_api, problem
from gitward.identity.authorization import parse_rules
from gitward.sessions import artifacts
from gitward.sessions.artifacts import Origin
from gitward.sessions.model import ArtifactKind, Owner, RunState
from tests_support import Backend

SESSION = {
    *("id", "repo", "target_branch", "branch", "title", "labels", "environment", "submodules", "allow_workflows"),
    *("owner", "state", "archived", "created_at", "updated_at", "runs", "pull_request"),
    *("schedule_id", "scheduled_for", "earlier_runs", "setup"),
}
RUN = {
    *("id", "session_id", "number", "state", "reason", "message", "instruction", "changed", "head_sha", "exit_code"),
    *(
        "retry_of",
        "publish_of",
        "agent",
        "environment",
        "attempt",
        "queued_because",
        "queue_place",
        "output_truncated",
        "created_at",
        "started_at",
        "ended_at",
    ),
    *("pull_request", "usage", "steps"),
}
Json = dict[str, Any]


async def post(http: httpx2.AsyncClient, **body: Any) -> Json:
    answer = await http.post("/sessions", json={"repo": "owner/repo", **body})
    assert answer.status_code == 201, answer.text
    session: Json = answer.json()
    return session


async def test_the_shortest_request_makes_a_session_with_its_first_run(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/sessions", json={"repo": "owner/repo"})
    session = answer.json()
    assert answer.headers["location"] == f"/sessions/{session['id']}"
    assert set(session) == SESSION
    [run] = session["runs"]
    assert set(run) == RUN
    assert session["owner"] == {"issuer": "gitward", "subject": "alice"}
    assert (session["state"], session["target_branch"], session["pull_request"]) == ("queued", None, None)
    assert session["branch"] == f"gitward/{session['id'][4:12]}"
    assert (session["labels"], session["submodules"], session["allow_workflows"]) == ([], [], False)
    assert (session["archived"], session["environment"]) == (False, "host")
    assert (run["session_id"], run["number"], run["state"], run["attempt"]) == (session["id"], 1, "queued", 0)
    assert (run["steps"], run["output_truncated"]) == ([], False)
    assert run["queued_because"]
    assert run["instruction"] == {
        "command": None,
        "prompt": None,
        "budget": None,
        "env": {},
        "setup": None,
        "timeout_seconds": None,
        "commit_message": None,
        "publish": {"mode": "draft", "title": None, "body": None, "labels": [], "reviewers": []},
    }
    assert session["created_at"].endswith("Z")


async def test_everything_that_can_be_asked_for_comes_back(http: httpx2.AsyncClient) -> None:
    asked = {
        "target_branch": "main",
        "branch": "fix/1",
        "title": "A title",
        "labels": ["a", "b"],
        "environment": "host",
        "submodules": ["owner/other"],
        "allow_workflows": True,
    }
    instruction = {
        "command": "make\n",
        "env": {"A": "b"},
        "setup": "make ready\n",
        "timeout_seconds": 5,
        "commit_message": "Change",
        "publish": {"mode": "ready", "title": "T", "body": "B", "labels": ["l"], "reviewers": ["r"]},
    }
    session = await post(http, **asked, **instruction)
    assert {name: session[name] for name in asked} == asked
    assert session["runs"][0]["instruction"] == {**instruction, "prompt": None, "budget": None}
    assert (await http.get(f"/sessions/{session['id']}")).json() == session


async def test_null_is_the_same_as_nothing_where_nothing_is_allowed(http: httpx2.AsyncClient) -> None:
    nothing = dict.fromkeys(("target_branch", "branch", "title", "command", "prompt", "agent", "timeout_seconds"))
    assert (await post(http, **nothing))["state"] == "queued"


async def test_a_branch_that_another_session_has_is_a_conflict(
    http: httpx2.AsyncClient, bob_http: httpx2.AsyncClient
) -> None:
    await post(http, branch="fix")
    answer = await bob_http.post("/sessions", json={"repo": "Owner/Repo", "branch": "fix"})
    assert [error["field"] for error in problem(answer, 409, "conflict")["errors"]] == ["branch"]


async def test_lists_are_pages_of_one_s_own(http: httpx2.AsyncClient, bob_http: httpx2.AsyncClient) -> None:
    made = [await post(http, labels=[str(number)]) for number in range(5)][::-1]
    await post(bob_http)
    seen: list[Json] = []
    query = {"limit": "2"}
    while True:
        page = (await http.get("/sessions", params=query)).json()
        assert set(page) == {"items", "next"}
        seen += page["items"]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert seen == made
    for filters, count in (
        ({"label": "3"}, 1),
        ({"state": "queued"}, 5),
        ({"state": "failed"}, 0),
        ({"repo": "OWNER/repo"}, 5),
        ({"repo": "owner/other"}, 0),
        ({"archived": "true"}, 0),
        ({"archived": "false", "label": "4"}, 1),
    ):
        assert len((await http.get("/sessions", params=filters)).json()["items"]) == count, filters


async def test_a_change_sets_what_it_names(http: httpx2.AsyncClient) -> None:
    session = await post(http, title="Old", labels=["a"])
    address = f"/sessions/{session['id']}"
    changed = (await http.patch(address, json={"title": "New"})).json()
    assert (changed["title"], changed["labels"]) == ("New", ["a"])
    assert (await http.patch(address, json={"labels": []})).json()["labels"] == []
    assert (await http.patch(address, json={})).json()["title"] == "New"
    assert (await http.patch(address, json={"title": None})).json()["title"] == "New"


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_archiving(api: Api, http: httpx2.AsyncClient, method: str) -> None:
    """Refused while there is work to do; then it hides nothing, and stops new runs until it is undone."""
    session = await post(http)
    address = f"/sessions/{session['id']}"
    body = {"archived": True} if method == "PATCH" else None
    problem(await http.request(method, address, json=body), 409, "conflict")
    await api.backend.end(session["runs"][0]["id"])
    for _ in range(2):
        answer = await http.request(method, address, json=body)
        assert answer.status_code == (200 if method == "PATCH" else 204)
        assert method == "PATCH" or answer.content == b""
    assert (await http.get(address)).json()["archived"] is True
    problem(await http.post(f"{address}/runs", json={}), 409, "conflict")
    problem(await http.post(f"{address}/runs/{session['runs'][0]['id']}/retry"), 409, "conflict")
    assert (await http.patch(address, json={"archived": False})).json()["archived"] is False
    assert (await http.post(f"{address}/runs", json={})).status_code == 201


async def test_follow_ups_wait_for_one_another(http: httpx2.AsyncClient) -> None:
    session = await post(http)
    answer = await http.post(f"/sessions/{session['id']}/runs", json={"command": "true"})
    run = answer.json()
    assert answer.status_code == 201
    assert (run["number"], run["state"], run["session_id"]) == (2, "queued", session["id"])
    got = (await http.get(f"/sessions/{session['id']}/runs/{run['id']}")).json()
    assert got["queued_because"] == "An earlier run of this session has not ended yet."
    assert got["instruction"]["command"] == "true"


async def test_a_retry_is_a_new_run(api: Api, http: httpx2.AsyncClient) -> None:
    session = await post(http, command="false")
    first = session["runs"][0]["id"]
    address = f"/sessions/{session['id']}/runs/{first}/retry"
    problem(await http.post(address), 409, "conflict")
    await api.backend.end(first, RunState.FAILED)
    answer = await http.post(address)
    assert answer.status_code == 201
    run = answer.json()
    assert (run["number"], run["retry_of"], run["instruction"]["command"]) == (2, first, "false")


async def test_cancelling_ends_what_is_queued_and_asks_what_runs(api: Api, http: httpx2.AsyncClient) -> None:
    session = await post(http)
    await http.post(f"/sessions/{session['id']}/runs", json={})
    with api.backend.database.transaction() as tx:
        api.backend.progress().take(tx, session["runs"][0]["id"])
    for _ in range(2):
        cancelled = (await http.post(f"/sessions/{session['id']}/cancel")).json()
        assert [run["state"] for run in cancelled["runs"]] == ["cancelling", "cancelled"]
    await api.backend.end(session["runs"][0]["id"], RunState.CANCELLED)
    assert (await http.post(f"/sessions/{session['id']}/cancel")).json()["state"] == "cancelled"


class TestArtifacts:
    async def test_nothing_is_there_before_something_was_changed(self, http: httpx2.AsyncClient) -> None:
        session = await post(http)
        for kind in ("diff", "patch", "bundle"):
            detail = problem(await http.get(f"/sessions/{session['id']}/{kind}"), 404, "not_found")["detail"]
            assert detail == f"This session has no {kind}: none of its runs has changed anything yet."

    async def test_what_was_kept_is_served_as_it_is(self, api: Api, http: httpx2.AsyncClient) -> None:
        """Bytes of a sandbox: never guessed to be anything but text, and whole."""
        session = await post(http)
        diff, mailbox = b"<script>alert(1)</script>\xff\0", b"From x\n" * 100_000
        with api.backend.database.transaction() as tx:
            artifacts.store(tx, Origin(run_id=session["runs"][0]["id"], attempt=1), ArtifactKind.DIFF, diff)
            artifacts.store(tx, Origin(run_id=session["runs"][0]["id"], attempt=1), ArtifactKind.PATCH, mailbox)
        answer = await http.get(f"/sessions/{session['id']}/diff")
        assert (answer.content, answer.headers["content-type"]) == (diff, "text/plain; charset=utf-8")
        assert answer.headers["x-content-type-options"] == "nosniff"
        answer = await http.get(f"/sessions/{session['id']}/patch")
        assert (answer.content, answer.headers["content-type"]) == (mailbox, "application/mbox")
        assert answer.headers["content-disposition"] == f'attachment; filename="{session["id"]}.mbox"'
        assert answer.headers["content-length"] == str(len(mailbox))

    async def test_each_attempt_has_its_own(self, api: Api, http: httpx2.AsyncClient) -> None:
        session = await post(http)
        run_id, address = session["runs"][0]["id"], f"/sessions/{session['id']}/bundle"
        with api.backend.database.transaction() as tx:
            for attempt in (1, 2):
                origin = Origin(run_id=run_id, attempt=attempt)
                artifacts.store(tx, origin, ArtifactKind.BUNDLE, b"%d\0" % attempt)
        assert (await http.get(address)).content == b"2\0"
        answer = await http.get(address, params={"run_id": run_id, "attempt": 1})
        assert (answer.content, answer.headers["content-type"]) == (b"1\0", "application/octet-stream")
        problem(await http.get(address, params={"attempt": 3}), 404, "not_found")
        problem(await http.get(address, params={"run_id": "run_0000000000000000"}), 404, "not_found")

    async def test_one_run_s_own_change_is_told_from_the_branch_s(self, api: Api, http: httpx2.AsyncClient) -> None:
        """Where the run began at the target's commit, both are the same, and kept once."""
        session = await post(http)
        address = f"/sessions/{session['id']}"
        second = (await http.post(f"{address}/runs", json={})).json()["id"]
        first, last = (Origin(run_id=run_id, attempt=1) for run_id in (session["runs"][0]["id"], second))
        kinds = ("diff", "patch", "bundle")
        with api.backend.database.transaction() as tx:
            for kind in kinds:
                artifacts.store(tx, first, ArtifactKind(kind), f"first {kind}".encode())
        for kind in kinds:
            for base in ("run", "target"):
                assert (await http.get(f"{address}/{kind}?base={base}")).text == f"first {kind}"
        with api.backend.database.transaction() as tx:
            for kind in kinds:
                artifacts.store(tx, last, ArtifactKind(kind), f"both {kind}".encode())
                artifacts.store(tx, last, ArtifactKind(f"run_{kind}"), f"second {kind}".encode())
        for kind in kinds:
            assert (await http.get(f"{address}/{kind}")).text == f"both {kind}"
            assert (await http.get(f"{address}/{kind}?base=target")).text == f"both {kind}"
            assert (await http.get(f"{address}/{kind}?base=run")).text == f"second {kind}"
            answer = await http.get(f"{address}/{kind}", params={"base": "run", "run_id": first.run_id})
            assert answer.text == f"first {kind}"

    async def test_a_run_s_own_change_that_was_too_long_is_not_another_s(
        self, api: Api, http: httpx2.AsyncClient
    ) -> None:
        """Of the newest run only its own diff could be kept: nothing else answers for what is not there."""
        session = await post(http)
        address = f"/sessions/{session['id']}"
        second = (await http.post(f"{address}/runs", json={})).json()["id"]
        with api.backend.database.transaction() as tx:
            for kind in (ArtifactKind.DIFF, ArtifactKind.PATCH):
                artifacts.store(tx, Origin(run_id=session["runs"][0]["id"], attempt=1), kind, b"of the first")
            artifacts.store(tx, Origin(run_id=second, attempt=1), ArtifactKind.RUN_DIFF, b"of the second")
        assert (await http.get(f"{address}/diff?base=run")).content == b"of the second"
        problem(await http.get(f"{address}/patch?base=run"), 404, "not_found")
        assert (await http.get(f"{address}/patch?base=target")).content == b"of the first"

    async def test_commits_inside_of_submodules_are_a_bundle_of_their_own(
        self, api: Api, http: httpx2.AsyncClient
    ) -> None:
        session = await post(http)
        address, origin = f"/sessions/{session['id']}/bundle", Origin(run_id=session["runs"][0]["id"], attempt=1)
        with api.backend.database.transaction() as tx:
            artifacts.store(tx, origin, ArtifactKind.BUNDLE, b"the branch")
        detail = problem(await http.get(f"{address}?of=submodules"), 404, "not_found")["detail"]
        assert detail.startswith("This session has no bundle of submodules: none of its runs")
        with api.backend.database.transaction() as tx:
            artifacts.store(tx, origin, ArtifactKind.SUBMODULES, b"the submodules\0")
        for base in ("run", "target"):
            answer = await http.get(f"{address}?of=submodules&base={base}")
            assert (answer.content, answer.headers["content-type"]) == (b"the submodules\0", "application/octet-stream")
        assert (await http.get(f"{address}?of=branch")).content == b"the branch"

    @pytest.mark.parametrize("query", ["diff?base=main", "patch?base=", "bundle?base=Run", "bundle?of=submodule"])
    async def test_another_base_or_part_is_refused(self, http: httpx2.AsyncClient, query: str) -> None:
        session = await post(http)
        [field] = fields(await http.get(f"/sessions/{session['id']}/{query}"))
        assert field == query.partition("?")[2].partition("=")[0]


class TestServedRepositories:
    """`GITWARD_REPOS`: the operator's token is for these, and for nothing that a caller slips in beside them."""

    async def test_other_repositories_are_refused(self, backend: Backend, alice: Owner) -> None:
        async with make_api(backend, repo_globs=("acme/*", "octo/demo")).client(alice) as http:
            for repo in ("Acme/Widgets", "acme/x", "OCTO/demo"):
                await post(http, repo=repo)
            for repo in ("acme2/x", "octo/demo2", "octo/other", "xacme/x"):
                answer = await http.post("/sessions", json={"repo": repo})
                assert fields(answer) == ["repo"]
                assert "acme/*, octo/demo" in answer.json()["errors"][0]["message"]

    async def test_submodules_are_no_way_around_it(self, backend: Backend, alice: Owner) -> None:
        async with make_api(backend, repo_globs=("acme/*",)).client(alice) as http:
            body = {"repo": "acme/x", "submodules": ["acme/y", "secret/z"]}
            assert fields(await http.post("/sessions", json=body)) == ["submodules"]

    async def test_what_the_rules_looked_at_is_kept_with_the_session(self, backend: Backend, alice: Owner) -> None:
        """Of its last request, and nothing else of the token."""
        rules = parse_rules("sub=alice -> acme/*; groups=platform -> *")
        async with make_api(backend, rules=rules).client(alice) as http:
            session = await post(http, repo="acme/x")
            assert (await backend.get(alice, session["id"])).claims == {"sub": "alice"}
        await backend.end(session["runs"][0]["id"])
        async with make_api(backend).client(alice) as http:
            assert (await http.post(f"/sessions/{session['id']}/runs", json={})).status_code == 201
            assert (await backend.get(alice, session["id"])).claims == {}

    async def test_a_session_that_is_no_longer_served_takes_no_runs(self, backend: Backend, alice: Owner) -> None:
        async with make_api(backend).client(alice) as http:
            session = await post(http, repo="secret/z")
        await backend.end(session["runs"][0]["id"])
        async with make_api(backend, repo_globs=("acme/*",)).client(alice) as http:
            address = f"/sessions/{session['id']}"
            assert fields(await http.post(f"{address}/runs", json={})) == ["repo"]
            assert fields(await http.post(f"{address}/runs/{session['runs'][0]['id']}/retry")) == ["repo"]
            assert (await http.get(address)).status_code == 200
