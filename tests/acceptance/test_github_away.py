"""GitHub is away for a while, in one way or another: the run waits, says so, and does nothing twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gitward_standin import Gate, Outage, StandIn
from rig import RUN_SECONDS, Client, Json, Rig

OUTAGES: dict[
    str, tuple[Outage, dict[str, Any] | None]
] = {  # step: how GitHub is away, and the request in whose middle it goes
    "preflight": (Outage.REFUSED, None),
    "authenticate": (Outage.UNAVAILABLE, {"method": "GET", "path": "/api/v3/"}),
    "checkout": (Outage.RESET, {"method": "POST", "path": "*/git-upload-pack"}),
    "publish": (Outage.UNAVAILABLE, {"method": "POST", "path": "*/git-receive-pack"}),
    "pull_request": (Outage.REFUSED, {"method": "POST", "path": "*/pulls"}),
}


async def go_away(github: StandIn, gates: dict[str, Gate], gone: list[str]) -> None:
    """GitHub goes away in each step in turn, when the step's request comes, before it is carried out."""
    for step, gate in gates.items():
        await gate.reached.wait()
        await github.go_down(OUTAGES[step][0])
        gone.append(step)
        gate.open()


async def follow(service: Rig, client: Client, session: Json, gone: list[str]) -> list[Json]:
    """The events. GitHub comes back when the step it went away in last tells that it waits.

    Authentication and the mirror's refresh run at the same time: what the other one tells meanwhile changes nothing.
    """
    events = []
    async with asyncio.timeout(RUN_SECONDS):
        async for event in client.stream(session):
            events.append(event)
            if event["type"] == "step.retrying" and event["data"]["step"] == gone[-1]:
                await service.github.come_back()
    return events


async def test_a_run_survives_a_github_that_goes_away_in_every_step(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    await service.github.go_down(Outage.REFUSED)
    gates = {step: service.github.gate(**request) for step, (_, request) in OUTAGES.items() if request is not None}
    gone = ["preflight"]
    going = asyncio.create_task(go_away(service.github, gates, gone))
    session = await alice_client.session(repository, command="echo change >> README.md")
    events = await follow(service, alice_client, session, gone)
    await going
    [run] = (await alice_client.get(f"/sessions/{session['id']}"))["runs"]
    assert run["state"] == "succeeded", run
    assert await repository.head(session["branch"]) == run["head_sha"]
    assert len(repository.pulls) == 1

    waits = [event["data"] for event in events if event["type"] == "step.retrying"]
    assert set(OUTAGES) == {wait["step"] for wait in waits}
    assert all(set(wait) == {"step", "cause", "seconds", "try"} for wait in waits)
    causes = {wait["step"]: wait["cause"] for wait in reversed(waits)}
    assert causes["preflight"] == "GitHub could not be reached (ConnectError)"
    assert causes["publish"] == "GitHub answered 503"


@pytest.mark.parametrize("applied", [True, False])
async def test_a_push_whose_answer_was_lost_is_looked_for_before_it_is_made_again(
    service: Rig, alice_client: Client, applied: bool
) -> None:
    """The head is upstream already, or not: in both cases it is there once, and nobody is taken for somebody else."""
    repository = await service.repository()
    service.github.fault(method="POST", path=f"*/{repository.name}.git/git-receive-pack", status=0, applied=applied)
    session, run, events = await alice_client.run(repository, "echo change >> README.md")
    assert run["state"] == "succeeded", run
    assert await repository.head(session["branch"]) == run["head_sha"]
    assert [event["data"]["step"] for event in events if event["type"] == "step.retrying"] == ["publish"]
    pushes = [r for r in service.github.requests if r.path.endswith(f"{repository.name}.git/git-receive-pack")]
    assert len(pushes) == (1 if applied else 2)


async def test_a_refusal_is_not_tried_again(service: Rig, alice_client: Client) -> None:
    repository = await service.repository(protected=("locked",))
    _, run, events = await alice_client.run(repository, "echo x > x", branch="locked")
    assert run["reason"] == "branch_protected"
    assert [event for event in events if event["type"] == "step.retrying"] == []
