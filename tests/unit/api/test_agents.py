"""`GET /agents`: what prompts can be given to, the same for everybody."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from api import Api
from gitward.agents.agents_file import Catalogue, parse_catalogue
from gitward.agents.installed import Agents
from gitward.agents.model_hosts import OPENAI
from gitward.sessions.model import Owner


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Codex is installed, and so is Node.js."""
    for name in ("node", "codex"):
        (tmp_path / name / "1").mkdir(parents=True)
        (tmp_path / name / "current").symlink_to("1")
    return tmp_path


async def listed(api: Api, who: Owner | None, agents: Agents | None, *, elsewhere: bool = False) -> httpx2.Response:
    api.app.state.services = replace(api.app.state.services, agents=agents, agents_elsewhere=elsewhere)
    async with api.client(who) as client:
        return await client.get("/agents")


async def test_each_agent_says_why_it_is_not_ready(api: Api, alice: Owner, bob: Owner, programs: Path) -> None:
    agents = Agents(Catalogue(), programs, [OPENAI.place])
    answer = (await listed(api, alice, agents)).json()
    told = {each["name"]: each for each in answer["agents"]}
    assert answer["default"] == "codex"
    assert told["codex"] == {
        "name": "codex",
        "title": "Codex",
        "version": "2.6.0",
        "model": None,
        "ready": True,
        "reason": None,
    }
    assert told["claude"]["ready"] is False
    assert told["claude"]["reason"] == "Claude Code is not installed; run: gitward agents install claude"
    assert (await listed(api, bob, agents)).json() == answer


async def test_without_a_key_an_agent_is_not_ready(api: Api, alice: Owner, programs: Path) -> None:
    answer = (await listed(api, alice, Agents(Catalogue(), programs))).json()
    told = {each["name"]: each["reason"] for each in answer["agents"]}
    assert told["codex"] == "Codex has no key: set OPENAI_API_KEY and start Gitward again."
    assert answer["default"] is None


async def test_a_host_that_only_the_setting_can_open_is_named(api: Api, alice: Owner, tmp_path: Path) -> None:
    table = {"argv": ["x"], "hosts": ["llm.example"], "program": str(tmp_path)}
    agents = Agents(parse_catalogue({"agents": {"own": table}}), tmp_path)
    told = {each["name"]: each["reason"] for each in (await listed(api, alice, agents)).json()["agents"]}
    assert told["own"] == "own has no key: name llm.example in GITWARD_INJECT and start Gitward again."


async def test_an_api_without_a_worker_does_not_know(api: Api, alice: Owner, programs: Path) -> None:
    catalogue = parse_catalogue({"default": "codex"})
    answer = (await listed(api, alice, Agents(catalogue, programs), elsewhere=True)).json()
    assert answer["default"] == "codex"
    assert {(each["ready"], each["reason"]) for each in answer["agents"]} == {(None, None)}


async def test_a_server_without_agents_has_an_empty_list(api: Api, alice: Owner) -> None:
    assert (await listed(api, alice, None)).json() == {"default": None, "agents": []}


async def test_nobody_without_a_token_is_told(api: Api) -> None:
    assert (await listed(api, None, None)).status_code == 401
