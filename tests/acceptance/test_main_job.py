"""A session becomes a pull request: over HTTP, with real gh, git and bubblewrap."""

from __future__ import annotations

import re

from rig import Client, Rig, output


async def test_a_command_that_changes_something_becomes_a_draft_pull_request(
    service: Rig, alice_client: Client
) -> None:
    repository = await service.repository()
    session, run, events = await alice_client.run(repository, "echo hello | tee -a README.md", target_branch="main")

    assert (run["state"], run["reason"], run["changed"], run["exit_code"]) == ("succeeded", None, True, 0), run
    assert await repository.head(session["branch"]) == run["head_sha"]
    [pull] = repository.pulls
    assert (pull.head, pull.base, pull.draft) == (session["branch"], "main", True)
    assert session["pull_request"] == run["pull_request"]
    assert session["pull_request"]["url"] == pull.html_url
    assert "echo hello | tee -a README.md" in (pull.body or "")
    assert f"{service.url}/sessions/{session['id']}" in (pull.body or "")
    assert output(events) == "hello\n"
    names = [step["name"] for step in run["steps"]]
    assert names == ["preflight", "authenticate", "checkout", "execute", "publish", "pull_request", "settle"]
    assert all(step["state"] == "succeeded" and step["seconds"] >= 0 for step in run["steps"])
    assert events[0]["type"] == "run.queued"
    assert events[-1]["type"] == "run.ended"
    diff = (await alice_client.http.get(f"/sessions/{session['id']}/diff")).text
    assert "+hello" in diff


async def test_the_commit_has_the_token_owners_name_and_the_session(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    session, run, _ = await alice_client.run(
        repository, "touch new && git log -1 --format=%an", commit_message="Add new\n\nBecause."
    )
    assert run["state"] == "succeeded", run
    patch = (await alice_client.http.get(f"/sessions/{session['id']}/patch")).text
    assert re.search(r"^From: The Octocat <\d+\+octocat@users\.noreply\.github\.com>$", patch, re.MULTILINE)
    assert "Subject: [PATCH] Add new" in patch
    assert f"Gitward-Session: {session['id']}" in patch


async def test_a_session_without_an_instruction_checks_out_and_says_so(service: Rig, alice_client: Client) -> None:
    """The user's own curl line: a form content type, a JSON body."""
    repository = await service.repository()
    body = f'{{"repo":"{repository.full_name}","target_branch":"main"}}'
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await alice_client.http.post("/sessions", content=body, headers=headers)
    assert answer.status_code == 201, answer.text
    run, _ = await alice_client.finished(answer.json())
    main = await repository.head("main") or ""
    assert run["state"] == "succeeded"
    assert run["message"] == f"authenticated as octocat; main at {main[:12]}; branch ready"
    assert run["pull_request"] is None
    assert set(await repository.branches()) == {"main"}
    log = service.log.read_text()
    assert "Reading GitHub token from environment variable" in log
    assert "Successfully read GitHub token from environment" in log


async def test_a_command_without_a_change_pushes_nothing(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    _, run, _ = await alice_client.run(repository, "ls")
    assert (run["state"], run["changed"], run["pull_request"]) == ("succeeded", False, None)
    assert set(await repository.branches()) == {"main"}
    assert repository.pulls == []


async def test_a_failing_command_fails_the_run_and_keeps_the_work(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    session, run, _ = await alice_client.run(repository, "echo precious > work.txt; exit 7")
    assert (run["state"], run["reason"], run["exit_code"]) == ("failed", "task_failed", 7)
    assert set(await repository.branches()) == {"main"}
    patch = (await alice_client.http.get(f"/sessions/{session['id']}/patch")).text
    assert "+precious" in patch


async def test_a_follow_up_continues_on_the_branch_and_its_pull_request(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    session, first, _ = await alice_client.run(repository, "echo one > one.txt")
    follow_up = await alice_client.post(
        f"/sessions/{session['id']}/runs", {"command": "cat one.txt; echo two > two.txt"}
    )
    second, events = await alice_client.finished(session, follow_up["id"])
    assert second["state"] == "succeeded", second
    assert output(events) == "one\n"
    assert second["head_sha"] != first["head_sha"]
    assert await repository.head(session["branch"]) == second["head_sha"]
    assert len(repository.pulls) == 1
    assert second["pull_request"] == first["pull_request"]


async def test_gh_and_git_work_unmodified_inside(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    command = (
        "set -e; gh auth status 2>&1; echo x > x; git add x; git commit -qm x; git push 2>&1; gh api /user -q .login"
    )
    session, run, events = await alice_client.run(repository, command)
    assert run["state"] == "succeeded", (run, output(events))
    assert "Logged in to github.com as octocat" in output(events)
    assert await repository.head(session["branch"]) == run["head_sha"]


async def test_what_the_grant_does_not_allow_is_refused_and_told(service: Rig, alice_client: Client) -> None:
    mine, other = await service.repository(), await service.repository()
    command = (
        "git push origin HEAD:refs/heads/main 2>&1; echo x > x; git add x; git commit -qm x;"
        "git push origin HEAD:refs/heads/elsewhere 2>&1;"
        f"git ls-remote https://github.com/{other.full_name}.git 2>&1;"
        f"gh api /repos/{other.full_name} 2>&1; gh api -X DELETE /repos/{mine.full_name} 2>&1; true"
    )
    session, run, events = await alice_client.run(mine, command)
    shown = output(events)
    assert run["state"] == "succeeded", (run, shown)
    assert "! [remote rejected]" in shown
    assert f"(this session may only push to {session['branch']})" in shown
    assert shown.count("Gitward") >= 2, shown
    denied = [event["data"] for event in events if event["type"] == "policy.denied"]
    assert len(denied) >= 4, denied
    assert all(set(data) == {"rule", "message"} for data in denied)
    assert set(await mine.branches()) == {"main", session["branch"]}
