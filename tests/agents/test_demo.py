"""`gitward demo --agent`: a prompt becomes a pull request, by the real service and the real agent."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import pytest

from gitward.agents.built_in import BUILT_IN

from .stage import PROGRAMS


async def gitward(*argv: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gitward", *argv),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "GITWARD_AGENTS_DIR": str(PROGRAMS)},
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("name", BUILT_IN)
async def test_a_prompt_becomes_a_pull_request(name: str) -> None:
    code, out, err = await gitward("demo", "--agent", name, "--json")
    assert code == 0, out[-3000:] + err
    told = json.loads(out)
    assert told["run"]["state"] == "succeeded"
    assert told["run"]["agent"]["name"] == name
    assert told["pull_request"]["number"] == 1
    assert "+Written by an agent." in told["diff"]
    kinds = {event["type"] for event in told["events"]}
    assert {"agent.started", "agent.tool", "agent.message", "agent.ended"} <= kinds
    assert not [event for event in told["events"] if event["type"] == "policy.denied"]


async def test_an_agent_that_is_not_there_is_told_in_a_sentence() -> None:
    code, _, err = await gitward("demo", "--agent", "nobody")
    assert code == 2
    assert "there is no agent 'nobody'; there are claude, codex, opencode" in err
