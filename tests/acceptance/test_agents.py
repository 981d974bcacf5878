"""A prompt becomes a pull request: over HTTP, with a small agent that speaks the Agent Client Protocol, in the sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from agent_rig import agent_rig
from rig import Client, Json, Rig


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house() -> AsyncIterator[Rig]:
    async with agent_rig() as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def caller(house: Rig) -> AsyncIterator[Client]:
    async with house.client() as made:
        yield made


def data_of(events: list[Json], kind: str) -> list[Json]:
    return [event["data"] for event in events if event["type"] == kind]


async def test_a_prompt_becomes_a_draft_pull_request(house: Rig, caller: Client) -> None:
    repository = await house.repository()
    prompt = """
say("I will ")
say("say hello.")
edit("hello.txt", "hello\\n")
say("Said hello, @octocat. Fixes #1 <!-- and hides")
"""
    session, run, events = await caller.run(repository, prompt=prompt, model="m-1", target_branch="main")
    print(run, [(e["type"], e["data"]) for e in events])
    assert (run["state"], run["reason"], run["changed"], run["exit_code"]) == ("succeeded", None, True, None), run
    assert run["agent"] == {"name": "small", "model": "m-1"}
    assert run["instruction"]["prompt"] == prompt
    [pull] = repository.pulls
    assert pull.draft
    print(pull.title, pull.body)
    print([(e["type"], e["data"]) for e in events if e["type"].startswith("agent")])
    assert 0
