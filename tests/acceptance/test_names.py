"""Nasty names: each is refused with the rule, or really checked out and pushed."""

from __future__ import annotations

import asyncio

import pytest

from names_table import ILLEGAL_BRANCHES, ILLEGAL_REPOSITORIES, LEGAL_BRANCHES, LEGAL_REPOSITORIES
from rig import LOGIN, Client, Rig, output

PAIRS = list(zip(LEGAL_BRANCHES[::2], LEGAL_BRANCHES[1::2], strict=True))


def test_the_table_is_long_enough() -> None:
    tables = (LEGAL_BRANCHES, ILLEGAL_BRANCHES, LEGAL_REPOSITORIES, ILLEGAL_REPOSITORIES)
    assert sum(len(set(table)) for table in tables) == sum(map(len, tables)) >= 60
    assert len(LEGAL_BRANCHES) >= 20


@pytest.mark.parametrize("part", range(4))
async def test_legal_branches_are_checked_out_and_pushed(service: Rig, alice_client: Client, part: int) -> None:
    """Each pair once as (target, session branch); the command runs beside a folder that a shell would have touched."""
    repository = await service.repository()
    pairs = PAIRS[part::4]
    for target, _ in pairs:
        await repository.commit(target, {"target.txt": target})
    sessions = [
        await alice_client.session(repository, target_branch=target, branch=branch, command="cat target.txt > out.txt")
        for target, branch in pairs
    ]
    async with asyncio.timeout(100):
        results = [await alice_client.finished(session) for session in sessions]
    for (target, branch), session, (run, _) in zip(pairs, sessions, results, strict=True):
        assert (run["state"], run["changed"]) == ("succeeded", True), (target, branch, run)
        assert session["branch"] == branch
        assert await repository.head(branch) == run["head_sha"]
    assert {(pull.base, pull.head) for pull in repository.pulls} == set(pairs)


@pytest.mark.parametrize("field", ["target_branch", "branch"])
async def test_illegal_branches_are_refused_with_the_rule(alice_client: Client, field: str) -> None:
    for name in ILLEGAL_BRANCHES:
        answer = await alice_client.http.post("/sessions", json={"repo": "o/r", field: name})
        assert answer.status_code == 422, name
        [error] = answer.json()["errors"]
        assert error["field"] == field
        assert "git check-ref-format" in error["message"] or "at most 200" in error["message"], (name, error)
        assert len(answer.content) < 2000


async def test_illegal_repositories_are_refused_with_the_rule(alice_client: Client) -> None:
    for name in ILLEGAL_REPOSITORIES:
        answer = await alice_client.http.post("/sessions", json={"repo": name})
        assert answer.status_code == 422, name
        [error] = answer.json()["errors"]
        assert error["field"] == "repo"
        assert "owner/name" in error["message"] or "at most 200" in error["message"], (name, error)


async def test_legal_repositories_are_taken(alice_client: Client) -> None:
    for name in LEGAL_REPOSITORIES:
        session = await alice_client.post("/sessions", {"repo": name, "command": "true"})
        assert session["repo"] == name
        await alice_client.post(f"/sessions/{session['id']}/cancel", status=200)


@pytest.mark.parametrize("owner", ["-lead-", "someone--", "mona_corp"])
async def test_a_repository_of_an_owner_with_an_old_or_enterprise_name_is_worked_on(
    service: Rig, alice_client: Client, owner: str
) -> None:
    repository = await service.github.add_repository(f"{owner}/a--b", permissions={LOGIN: "admin"})
    session, run, events = await alice_client.run(repository, "echo x >> README.md; gh repo view --json nameWithOwner")
    assert run["state"] == "succeeded", (run, output(events))
    assert repository.full_name in output(events)
    assert await repository.head(session["branch"]) == run["head_sha"]
    assert [pull.head for pull in repository.pulls] == [session["branch"]]
