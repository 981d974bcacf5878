"""A run that cannot succeed says why, with a reason code and a sentence, before a sandbox is opened."""

from __future__ import annotations

import pytest

from rig import LOGIN, Client, Rig, output, rig, warm_rig


async def test_a_missing_repository(alice_client: Client) -> None:
    session = await alice_client.post("/sessions", {"repo": "acme/nowhere", "command": "true"})
    run, _ = await alice_client.finished(session)
    assert (run["state"], run["reason"]) == ("failed", "repository_not_found")
    assert run["message"].startswith("GitHub shows no repository acme/nowhere to this token")
    assert [step["name"] for step in run["steps"]] == ["preflight", "settle"]
    assert run["steps"][0]["state"] == "failed"


async def test_a_missing_target_branch(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    _, run, _ = await alice_client.run(repository, "true", target_branch="release/9")
    assert (run["state"], run["reason"]) == ("failed", "branch_not_found")
    assert run["message"] == f"{repository.full_name} has no branch release/9; name an existing one as target_branch."


async def test_an_archived_repository(service: Rig, alice_client: Client) -> None:
    repository = await service.repository(archived=True)
    _, run, _ = await alice_client.run(repository, "true")
    assert (run["state"], run["reason"]) == ("failed", "repository_archived")


async def test_a_repository_that_may_only_be_read(service: Rig, alice_client: Client) -> None:
    repository = await service.repository(permissions={LOGIN: "pull"})
    _, run, _ = await alice_client.run(repository, "true")
    assert (run["state"], run["reason"]) == ("failed", "token_lacks_permission")


async def test_a_session_branch_that_is_there_already(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    await repository.commit("taken", {"x": "x"})
    session, run, _ = await alice_client.run(repository, "true", branch="taken")
    assert (run["state"], run["reason"]) == ("failed", "push_rejected")
    assert "already exists in" in run["message"]
    again = await alice_client.post(f"/sessions/{session['id']}/runs/{run['id']}/retry")
    run, _ = await alice_client.finished(session, again["id"])
    assert (run["state"], run["reason"]) == ("failed", "push_rejected"), "not by a retry either"


async def test_a_protected_session_branch(service: Rig, alice_client: Client) -> None:
    repository = await service.repository(protected=("locked",))
    session, run, _ = await alice_client.run(repository, "echo x > x", branch="locked")
    assert (run["state"], run["reason"]) == ("failed", "branch_protected"), run
    patch = (await alice_client.http.get(f"/sessions/{session['id']}/patch")).text
    assert "+x" in patch


async def test_no_token_fails_the_run_and_loses_nothing() -> None:
    """`token_missing`, in the words that users know; a follow-up waits for its turn and is told the same."""
    async with rig(GITHUB_TOKEN="") as service, service.client() as client:
        repository = await service.repository()
        _, run, _ = await client.run(repository, target_branch="main")
        assert (run["state"], run["reason"]) == ("failed", "token_missing")
        assert run["message"] == "GITHUB_TOKEN environment variable not set"
        log = service.log.read_text()
        assert "Reading GitHub token from environment variable" in log
        assert "Successfully read" not in log


@pytest.mark.parametrize("value", ["ghp_neverissuedneverissuedneverissued1234", "x"])
async def test_a_token_that_github_rejects(value: str) -> None:
    async with warm_rig(GITHUB_TOKEN=value) as service, service.client() as client:
        repository = await service.repository()
        _, run, _ = await client.run(repository, "true")
        assert (run["state"], run["reason"]) == ("failed", "token_rejected")
        assert value not in run["message"]


async def test_a_branch_that_a_person_made_after_a_dry_run_took_its_name(service: Rig, alice_client: Client) -> None:
    """The session pushed nothing, so the branch is not its own; that it took the name first does not matter."""
    repository = await service.repository()
    session, run, _ = await alice_client.run(
        repository, "echo x > x", branch="release/2.0", publish={"mode": "dry_run"}
    )
    assert (run["state"], run["changed"]) == ("succeeded", True), run
    shipped = await repository.commit(
        "release/2.0", {"shipped.txt": "by a person"}, start=await repository.head("main")
    )
    follow_up = await alice_client.post(f"/sessions/{session['id']}/runs", {"command": "echo evil > evil.txt"})
    run, _ = await alice_client.finished(session, follow_up["id"])
    assert (run["state"], run["reason"]) == ("failed", "push_rejected"), run
    assert "post a session with another branch" in run["message"]
    assert await repository.head("release/2.0") == shipped


async def test_a_follow_up_goes_on_from_what_a_reviewer_pushed(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    session, run, _ = await alice_client.run(repository, "echo x > x", publish={"mode": "branch"})
    await repository.commit(session["branch"], {"fix-up.txt": "by a reviewer"})
    follow_up = await alice_client.post(
        f"/sessions/{session['id']}/runs", {"command": "cat fix-up.txt x", "publish": {"mode": "branch"}}
    )
    run, events = await alice_client.finished(session, follow_up["id"])
    assert (run["state"], output(events)) == ("succeeded", "by a reviewerx\n"), run


@pytest.mark.parametrize(("there", "wished"), [("gitward", None), ("fix/other", "fix")])
async def test_a_branch_in_the_way_is_told_before_the_command_runs(
    service: Rig, alice_client: Client, there: str, wished: str | None
) -> None:
    repository = await service.repository()
    await repository.commit(there, {"x": "x"})
    branch = {"branch": wished} if wished else {}
    session, run, _ = await alice_client.run(repository, "touch ran; echo x > y", **branch)
    assert (run["state"], run["reason"]) == ("failed", "push_rejected"), run
    assert f"has a branch {there}, so git cannot create a branch {session['branch']}" in run["message"]
    assert [step["name"] for step in run["steps"]] == ["preflight", "settle"]


async def test_an_empty_repository(service: Rig, alice_client: Client) -> None:
    repository = await service.repository(files={})
    _, run, _ = await alice_client.run(repository, "true")
    assert (run["state"], run["reason"]) == ("failed", "repository_empty"), run
    assert "push a first one to it" in run["message"]
