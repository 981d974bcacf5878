"""What becomes of a change: every mode, and what the caller asked for."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from rig import LOGIN, Client, Rig, output, warm_rig

CHANGE = "echo change >> README.md"


@pytest.mark.parametrize("mode", ["draft", "ready"])
async def test_a_pull_request_with_what_was_asked_for(service: Rig, alice_client: Client, mode: str) -> None:
    repository = await service.repository(permissions={LOGIN: "admin", "reviewer": "push"})
    wanted = {"mode": mode, "title": "A title", "body": "A body", "labels": ["chore"], "reviewers": ["reviewer"]}
    _, run, events = await alice_client.run(repository, CHANGE, publish=wanted)
    assert run["state"] == "succeeded", run
    [pull] = repository.pulls
    assert (pull.title, pull.body, pull.draft) == ("A title", "A body", mode == "draft")
    assert pull.labels == ["chore"]
    assert [reviewer.login for reviewer in pull.reviewers] == ["reviewer"]
    assert [e for e in events if e["type"] == "notice"] == []


async def test_a_draft_becomes_ready_where_drafts_are_not_supported(service: Rig, alice_client: Client) -> None:
    repository = await service.repository(drafts=False)
    _, run, events = await alice_client.run(repository, CHANGE)
    assert run["state"] == "succeeded", run
    assert run["pull_request"]["draft"] is False
    [notice] = [event for event in events if event["type"] == "notice"]
    assert "does not support draft pull requests" in notice["data"]["message"]


async def test_only_the_branch(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    session, run, _ = await alice_client.run(repository, CHANGE, publish={"mode": "branch"}, branch="only/branch")
    assert (run["state"], run["changed"], run["pull_request"]) == ("succeeded", True, None)
    assert await repository.head("only/branch") == run["head_sha"]
    assert repository.pulls == []
    assert session["branch"] == "only/branch"


async def test_a_dry_run_keeps_a_patch_and_pushes_nothing(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    session, run, _ = await alice_client.run(repository, CHANGE, publish={"mode": "dry_run"})
    assert (run["state"], run["changed"], run["pull_request"]) == ("succeeded", True, None)
    assert set(await repository.branches()) == {"main"}
    patch = await alice_client.http.get(f"/sessions/{session['id']}/patch")
    assert patch.headers["content-type"].startswith("application/mbox")
    assert "+change" in patch.text


async def test_a_pull_request_that_github_refuses_leaves_the_pushed_branch(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    path = f"*/repos/{repository.full_name}/pulls"
    service.github.fault(method="POST", path=path, status=422, body=b'{"message":"Validation Failed"}')
    session, run, _ = await alice_client.run(repository, CHANGE)
    assert (run["state"], run["reason"]) == ("failed", "pull_request_failed"), run
    assert await repository.head(session["branch"]) == run["head_sha"]
    retry = await alice_client.post(f"/sessions/{session['id']}/runs/{run['id']}/retry")
    assert retry["retry_of"] == run["id"]
    again, _ = await alice_client.finished(session, retry["id"])
    assert again["state"] == "succeeded"
    assert len(repository.pulls) == 1


@pytest.mark.parametrize("noted", [True, False], ids=["a push that was noted", "a push that was not"])
async def test_a_retry_that_changes_nothing_more_opens_the_pull_request_that_is_missing(
    service: Rig, alice_client: Client, noted: bool
) -> None:
    """The first try pushed its change; a repeatable command then finds nothing to do."""
    repository = await service.repository()
    path = f"*/repos/{repository.full_name}/pulls"
    service.github.fault(method="POST", path=path, status=422, body=b'{"message":"Validation Failed"}')
    session, run, _ = await alice_client.run(repository, "echo once > once.txt")
    assert (run["state"], run["reason"]) == ("failed", "pull_request_failed"), run
    if not noted:  # as when its worker was lost just then, for the last time
        with sqlite3.connect(service.data / "gitward.db") as database:
            database.execute("UPDATE sessions SET pushed_sha = NULL WHERE id = ?", (session["id"],))
        database.close()
    retry = await alice_client.post(f"/sessions/{session['id']}/runs/{run['id']}/retry")
    again, _ = await alice_client.finished(session, retry["id"])
    assert (again["state"], again["changed"], again["head_sha"]) == ("succeeded", True, run["head_sha"]), again
    assert [pull.head for pull in repository.pulls] == [session["branch"]]
    assert again["pull_request"]["number"] == repository.pulls[0].number
    repeated = await alice_client.post(f"/sessions/{session['id']}/runs/{run['id']}/retry")
    once_more, _ = await alice_client.finished(session, repeated["id"])
    assert (once_more["state"], once_more["changed"]) == ("succeeded", False), once_more
    assert len(repository.pulls) == 1


async def test_variables_reach_the_command_and_only_the_command(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    env = {"GREETING": "it's $HOME; `id`", "Empty": ""}
    _, run, events = await alice_client.run(repository, 'printf "%s|%s\\n" "$GREETING" "$Empty"', env=env)
    assert run["state"] == "succeeded"
    assert output(events) == "it's $HOME; `id`|\n"


async def test_a_repeated_post_with_an_idempotency_key_makes_one_session(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    body = {"repo": repository.full_name, "command": "true"}
    key = {"Idempotency-Key": f"key-{repository.full_name}"}
    first, second = await asyncio.gather(*(alice_client.post("/sessions", body, headers=key) for _ in range(2)))
    assert first["id"] == second["id"]
    answer = await alice_client.post("/sessions", {**body, "command": "false"}, status=422, headers=key)
    assert answer["code"] == "idempotency_key_reused"
    await alice_client.finished(first)


async def test_a_stream_goes_on_after_a_restart_without_a_gap_or_a_repeat() -> None:
    async with warm_rig() as service:
        seen: list[int] = []
        async with service.client() as client:
            repository = await service.repository()
            session = await client.session(repository, command="for i in 1 2 3; do echo $i; sleep 0.2; done")
            async for event in client.stream(session):
                seen.append(event["seq"])
                if event["type"] == "output":
                    break
        await service.stop()
        await service.start()
        async with service.client() as client:
            async with asyncio.timeout(300):
                seen += [event["seq"] async for event in client.stream(session, after=seen[-1])]
            everything = await client.get(f"/sessions/{session['id']}/events")
    first = next(event["seq"] for event in everything["items"] if event["run_id"])
    assert seen == list(range(first, everything["items"][-1]["seq"] + 1))


async def test_a_lock_that_a_killed_git_left_loses_no_work(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    command = "echo more >> README.md; touch .git/index.lock"
    _, run, _ = await alice_client.run(repository, command)
    assert (run["state"], run["changed"]) == ("succeeded", True), run["message"]
    _, run, _ = await alice_client.run(repository, f"{command}; exit 3")
    assert (run["state"], run["reason"]) == ("failed", "task_failed")
    answer = await alice_client.http.get(f"/sessions/{run['session_id']}/patch")
    assert "+more" in answer.text
