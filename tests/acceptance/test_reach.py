"""What a session can set going on GitHub, as its caller and its command see it."""

from __future__ import annotations

import httpx2

from rig import Client, Rig, warm_rig

CI = ".github/workflows/ci.yml"
CHANGE = f"echo 'on: issues' > {CI}"
ISSUE = "gh api 'repos/{owner}/{repo}/issues' -f title=Mine --jq .number"


async def test_an_issue_stays_the_sessions_own_in_a_follow_up(service: Rig, alice_client: Client) -> None:
    """And another session's command cannot write it."""
    repository = await service.repository()
    session, run, events = await alice_client.run(repository, ISSUE)
    assert run["state"] == "succeeded", run
    [opened] = [event["data"] for event in events if event["type"] == "issue.opened"]
    comment = f"gh issue comment {opened['number']} --body Hello"
    follow_up = await alice_client.post(f"/sessions/{session['id']}/runs", {"command": comment})
    events = [event async for event in alice_client.stream(session, run_id=follow_up["id"])]
    assert [event["data"]["state"] for event in events if event["type"] == "run.ended"] == ["succeeded"]
    _, other, _ = await alice_client.run(repository, comment)
    assert (other["state"], other["reason"]) == ("failed", "task_failed")
    issue = repository.issue(opened["number"])
    assert issue is not None
    assert [each.body for each in issue.comments] == ["Hello"]


async def test_a_commit_that_closes_elsewhere_is_kept_and_not_pushed(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    command = "date > x; git add x; git commit -qm 'Fixes acme/secret-project#1'"
    session, run, events = await alice_client.run(repository, command)
    assert (run["state"], run["reason"], run["changed"]) == ("failed", "push_rejected", True), run
    assert "acme/secret-project#1" in run["message"]
    assert [event["data"]["rule"] for event in events if event["type"] == "policy.denied"] == ["git.push.closing"]
    assert set(await repository.branches()) == {"main"}
    patch = await alice_client.http.get(f"/sessions/{session['id']}/patch")
    assert patch.status_code == httpx2.codes.OK


async def test_a_post_that_closes_elsewhere_is_refused(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    body: dict[str, object] = {"repo": repository.full_name, "title": "Closes acme/secret-project#1", "command": "true"}
    body |= {"publish": {"body": "fixes https://github.com/acme/secret-project/issues/1"}}
    answer = await alice_client.http.post("/sessions", json=body)
    assert answer.status_code == httpx2.codes.UNPROCESSABLE_CONTENT
    assert [each["field"] for each in answer.json()["errors"]] == ["title", "publish.body"]
    session, _, _ = await alice_client.run(repository, "true")
    answer = await alice_client.http.post(
        f"/sessions/{session['id']}/runs", json={"command": "true", "commit_message": "Fix acme/secret-project#1"}
    )
    assert [each["field"] for each in answer.json()["errors"]] == ["commit_message"]
    answer = await alice_client.http.patch(f"/sessions/{session['id']}", json={"title": "Fix acme/secret-project#1"})
    assert [each["field"] for each in answer.json()["errors"]] == ["title"]
    publish = {"publish": {"body": "Fix acme/secret-project#1"}}
    _, kept, _ = await alice_client.run(repository, "date > x", publish={"mode": "dry_run"})
    answer = await alice_client.http.post(f"/sessions/{kept['session_id']}/runs/{kept['id']}/publish", json=publish)
    assert [each["field"] for each in answer.json()["errors"]] == ["publish.body"]


async def test_never_takes_the_right_to_change_workflows_from_all() -> None:
    """A session of before the setting, too: its command's own push and the job's."""
    async with warm_rig() as service:
        repository = await service.repository(files={CI: "on: push\n"})
        async with service.client() as client:
            session, run, _ = await client.run(repository, "true", allow_workflows=True)
            assert run["state"] == "succeeded", run
        await service.stop()
        service.environment["GITWARD_ALLOW_WORKFLOWS"] = "never"
        await service.start()
        async with service.client() as client:
            body = {"repo": repository.full_name, "command": "true", "allow_workflows": True}
            for path, more in (("/sessions", {}), ("/schedules", {"schedule": "0 6 * * *"})):
                answer = await client.http.post(path, json={**body, **more})
                assert answer.status_code == httpx2.codes.UNPROCESSABLE_CONTENT, path
                [error] = answer.json()["errors"]
                assert error["field"] == "allow_workflows"
                assert "GITWARD_ALLOW_WORKFLOWS=never" in error["message"]
            push = f"{CHANGE}; git commit -qam x; git push -q origin HEAD && exit 3; true"
            follow_up = await client.post(f"/sessions/{session['id']}/runs", {"command": push})
            events = [event async for event in client.stream(session, run_id=follow_up["id"])]
            denied = [event["data"]["rule"] for event in events if event["type"] == "policy.denied"]
            assert denied == ["git.push.workflows", "git.push.workflows"]  # the command's, then the job's
            [ended] = [event["data"] for event in events if event["type"] == "run.ended"]
            assert (ended["state"], ended["reason"]) == ("failed", "push_rejected"), ended
        assert set(await repository.branches()) == {"main"}
