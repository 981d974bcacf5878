"""GitHub is away for a while, in one way or another: the run waits, says so, and does nothing twice."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from gitward.standin import Outage, StandIn
from rig import RUN_SECONDS, Client, Json, Rig

OUTAGES = {  # step: how GitHub is away, and the request in whose middle it goes
    "preflight": (Outage.REFUSED, None),
    "authenticate": (Outage.UNAVAILABLE, {"method": "GET", "path": "/api/v3/"}),
    "checkout": (Outage.RESET, {"method": "POST", "path": "*/git-upload-pack"}),
    "publish": (Outage.UNAVAILABLE, {"method": "POST", "path": "*/git-receive-pack"}),
    "pull_request": (Outage.REFUSED, {"method": "POST", "path": "*/pulls"}),
}


async def away(github: StandIn, outage: Outage, request: dict[str, Any]) -> None:
    """GitHub goes away when this request comes, before it is carried out."""
    gate = github.gate(**request)
    await gate.reached.wait()
    await github.go_down(outage)
    gate.open()


async def follow(service: Rig, client: Client, session: Json) -> list[Json]:
    """The events; GitHub comes back when a step tells that it waits, and goes away again for the next."""
    events, going = [], []
    steps = list(OUTAGES)
    following = dict(pairwise(steps))
    async with asyncio.timeout(RUN_SECONDS):
        async for event in client.stream(session):
            events.append(event)
            if event["type"] == "step.retrying" and service.github.traffic.outage is not None:
                outage, request = OUTAGES.get(following.get(event["data"]["step"], ""), (None, None))
                if outage is not None and request is not None:
                    going.append(asyncio.create_task(away(service.github, outage, request)))
                    await asyncio.sleep(0)  # its gate is there before GitHub is
                await service.github.come_back()
    await asyncio.gather(*going)
    return events


async def test_a_run_survives_a_github_that_goes_away_in_every_step(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    await service.github.go_down(Outage.REFUSED)
    session = await alice_client.session(repository, command="echo change >> README.md")
    events = await follow(service, alice_client, session)
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
