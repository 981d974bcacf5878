"""A session goes on where its repository is now, when the operator's rules allow that name to its owner too."""

from __future__ import annotations

import json

import pytest

from gitward.standin import Repository
from rig import LOGIN, Client, Rig, output, rig

CHANGE = "echo x >> README.md"


def rename(service: Rig, repository: Repository, old: str) -> None:
    """GitHub answers for the old name as it does after a rename."""
    location = f"{service.github.api_url}/repositories/{repository.id}"
    about = {"id": repository.id, "full_name": repository.full_name, "default_branch": "main"}
    service.github.fault(path=f"*/repos/{old}", status=301, headers={"Location": location}, body=b"{}", times=99)
    path = f"*/repositories/{repository.id}"
    service.github.fault(path=path, status=200, body=json.dumps(about).encode(), times=99)


@pytest.mark.parametrize(
    "settings",
    [{}, {"GITWARD_REPOS": "acme/*"}, {"GITWARD_AUTHORIZE": "sub=alice -> acme/*"}],
    ids=["everything is served", "GITWARD_REPOS", "GITWARD_AUTHORIZE"],
)
async def test_a_renamed_repository_is_followed(settings: dict[str, str]) -> None:
    async with rig(None, None, **settings) as service, service.client() as client:
        repository = await service.repository()
        rename(service, repository, "acme/old-name")
        session = await client.post("/sessions", {"repo": "acme/old-name", "command": CHANGE})
        run, events = await client.finished(session)
        assert run["state"] == "succeeded", (run, output(events))
        assert await repository.head(session["branch"]) == run["head_sha"]
        notices = [event["data"]["message"] for event in events if event["type"] == "notice"]
        assert [notice for notice in notices if f"renamed or moved to {repository.full_name}" in notice]
        assert (await client.get(f"/sessions/{session['id']}"))["repo"] == repository.full_name

        follow_up = await client.post(f"/sessions/{session['id']}/runs", {"command": CHANGE})
        run, events = await client.finished(session, follow_up["id"])
        assert run["state"] == "succeeded", (run, output(events))
        assert not [event for event in events if "renamed" in str(event["data"])]


async def test_a_name_that_the_rules_do_not_allow_is_not_followed() -> None:
    async with rig(GITWARD_AUTHORIZE="sub=alice -> acme/old-*; sub=bob -> acme/*") as service:
        async with service.client() as client:
            repository = await service.repository()
            rename(service, repository, "acme/old-name")
            session = await client.post("/sessions", {"repo": "acme/old-name", "command": CHANGE})
            run, _ = await client.finished(session)
            assert (run["state"], run["reason"]) == ("failed", "repository_not_found"), run
            assert f"moved to {repository.full_name}, which is not served here" in run["message"]
            assert set(await repository.branches()) == {"main"}
            assert (await client.get(f"/sessions/{session['id']}"))["repo"] == "acme/old-name"
        async with service.client("bob") as client:
            session = await client.post("/sessions", {"repo": "acme/old-name", "command": CHANGE})
            run, _ = await client.finished(session)
            assert run["state"] == "succeeded", run


async def test_two_sessions_do_not_meet_on_one_branch(service: Rig, alice_client: Client) -> None:
    """Under the old name and under the new one the same branch was wished for."""
    repository = await service.repository(permissions={LOGIN: "admin"})
    wanted = {"command": CHANGE, "branch": "fix/1", "publish": {"mode": "dry_run"}}
    session = await alice_client.post("/sessions", {**wanted, "repo": repository.full_name})
    await alice_client.finished(session)
    rename(service, repository, "acme/older-name")
    other = await alice_client.post("/sessions", {**wanted, "repo": "acme/older-name"})
    run, _ = await alice_client.finished(other)
    assert (run["state"], run["reason"]) == ("failed", "push_rejected"), run
    assert "another session has the branch fix/1" in run["message"]
