"""A session goes on where its repository is now, when the operator's rules allow that name to its owner too."""

from __future__ import annotations

import pytest

from gitward_standin import Repository
from rig import Client, Rig, output, warm_rig

CHANGE = "echo x >> README.md"


async def renamed(service: Rig, owner: str = "acme") -> tuple[str, Repository]:
    """A repository that had another name before, and that name."""
    before = (await service.repository()).full_name
    return before, service.github.rename_repository(before, before.replace("acme/widgets", f"{owner}/gadgets"))


@pytest.mark.parametrize(
    ("settings", "owner"),
    [
        ({}, "new-owner"),
        ({"GITWARD_REPOS": "acme/*"}, "acme"),
        ({"GITWARD_AUTHORIZE": "sub=alice -> acme/*"}, "acme"),
    ],
    ids=["transferred", "GITWARD_REPOS", "GITWARD_AUTHORIZE"],
)
async def test_a_repository_is_followed_to_its_new_name(settings: dict[str, str], owner: str) -> None:
    async with warm_rig(None, **settings) as service, service.client() as client:
        before, repository = await renamed(service, owner)
        session = await client.post("/sessions", {"repo": before, "command": CHANGE})
        run, events = await client.finished(session)
        assert run["state"] == "succeeded", (run, output(events))
        assert await repository.head(session["branch"]) == run["head_sha"]
        assert [pull.head for pull in repository.pulls] == [session["branch"]]
        notices = [event["data"]["message"] for event in events if event["type"] == "notice"]
        assert [notice for notice in notices if f"{before} was renamed or moved to {repository.full_name}" in notice]
        assert (await client.get(f"/sessions/{session['id']}"))["repo"] == repository.full_name

        follow_up = await client.post(f"/sessions/{session['id']}/runs", {"command": CHANGE})
        run, events = await client.finished(session, follow_up["id"])
        assert run["state"] == "succeeded", (run, output(events))
        assert not [event for event in events if "renamed" in str(event["data"])]


async def test_a_session_is_followed_that_was_there_before_the_move(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    session, run, _ = await alice_client.run(repository, CHANGE)
    assert run["state"] == "succeeded", run
    service.github.rename_repository(repository.full_name, f"{repository.full_name}-2")
    follow_up = await alice_client.post(f"/sessions/{session['id']}/runs", {"command": CHANGE})
    run, events = await alice_client.finished(session, follow_up["id"])
    assert run["state"] == "succeeded", (run, output(events))
    assert await repository.head(session["branch"]) == run["head_sha"]


async def test_a_name_that_the_rules_do_not_allow_is_not_followed() -> None:
    async with warm_rig(GITWARD_AUTHORIZE="sub=alice -> acme/widgets-*; sub=bob -> acme/*") as service:
        async with service.client() as client:
            before, repository = await renamed(service)
            session = await client.post("/sessions", {"repo": before, "command": CHANGE})
            run, _ = await client.finished(session)
            assert (run["state"], run["reason"]) == ("failed", "repository_not_found"), run
            assert f"moved to {repository.full_name}, which this server does not serve" in run["message"]
            assert set(await repository.branches()) == {"main"}
            assert (await client.get(f"/sessions/{session['id']}"))["repo"] == before
        async with service.client("bob") as client:
            session = await client.post("/sessions", {"repo": before, "command": CHANGE})
            run, _ = await client.finished(session)
            assert run["state"] == "succeeded", run


async def test_two_sessions_do_not_meet_on_one_branch(service: Rig, alice_client: Client) -> None:
    """Under the old name and under the new one the same branch was wished for."""
    before, repository = await renamed(service)
    wanted = {"command": CHANGE, "branch": "fix/1", "publish": {"mode": "dry_run"}}
    session = await alice_client.post("/sessions", {**wanted, "repo": repository.full_name})
    await alice_client.finished(session)
    other = await alice_client.post("/sessions", {**wanted, "repo": before})
    run, _ = await alice_client.finished(other)
    assert (run["state"], run["reason"]) == ("failed", "push_rejected"), run
    assert "its branch fix/1 is taken" in run["message"]
