"""Environments over HTTP: the list, the default, and what a session or a follow-up may name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from api import Api
from gitward.environments.catalogue import Environments
from gitward.environments.store import Store
from gitward.sessions.model import Owner


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With two environments, as far as their names go."""
    store = Store(tmp_path / "environments")
    with store.changing():
        for name in ("go", "node"):
            store.put(store.new_part(), name, {"folders": [], "links": {}, "variables": {}, "bytes": 5, "files": 1})
            store.name(name, name, source="/x", added_at="2026-11-29T12:00:00+00:00")
    return store.folder


@asynccontextmanager
async def client(
    api: Api, who: Owner | None, folder: Path, *allowed: str, elsewhere: bool = False
) -> AsyncIterator[httpx2.AsyncClient]:
    environments = Environments(folder, allowed)
    services = replace(api.app.state.services, environments=environments, agents_elsewhere=elsewhere)
    api.app.state.services = services
    async with api.client(who) as http:
        yield http


async def test_the_list_says_what_a_session_may_name(api: Api, alice: Owner, folder: Path) -> None:
    async with client(api, alice, folder, "go", "rust") as http:
        answer = (await http.get("/environments")).json()
    reason = "It was not added on this machine; run: gitward environments add rust …"
    assert answer == {
        "default": "go",
        "environments": [
            {"name": "go", "digest": "go", "bytes": 5, "ready": True, "reason": None},
            {"name": "rust", "digest": None, "bytes": None, "ready": False, "reason": reason},
        ],
    }
    async with client(api, None, folder) as http:
        assert (await http.get("/environments")).status_code == 401


async def test_a_session_has_the_default_or_what_it_names(api: Api, alice: Owner, folder: Path) -> None:
    async with client(api, alice, folder, "go", "host") as http:
        made = [
            (await http.post("/sessions", json={"repo": "owner/repo", **body})).json()
            for body in ({}, {"environment": "host"}, {"environment": None})
        ]
    assert [(each["environment"], each["runs"][0]["environment"]) for each in made] == [
        ("go", "go"),
        ("host", "host"),
        ("go", "go"),
    ]


async def test_a_follow_up_and_a_retry_keep_the_environment(api: Api, alice: Owner, folder: Path) -> None:
    async with client(api, alice, folder) as http:
        session = (await http.post("/sessions", json={"repo": "owner/repo", "environment": "go"})).json()
        runs = f"/sessions/{session['id']}/runs"
        seen = [
            (await http.post(runs, json=body)).json()["environment"]
            for body in ({}, {"environment": "node"}, {"environment": "host"}, {})
        ]
        assert seen == ["go", "node", "host", "go"]
        await http.post(f"/sessions/{session['id']}/cancel")
        again = (await http.get(runs)).json()["items"][2]
        assert (await http.post(f"{runs}/{again['id']}/retry")).json()["environment"] == "node"
        assert (await http.get(f"/sessions/{session['id']}")).json()["environment"] == "go"


@pytest.mark.parametrize("path", ["/sessions", "/schedules"])
async def test_what_is_not_allowed_or_not_there_is_refused(api: Api, alice: Owner, folder: Path, path: str) -> None:
    body = {"repo": "owner/repo", **({"schedule": "0 6 * * *"} if path == "/schedules" else {})}
    for allowed, name, told in (
        ((), "rust", "must be one of host, go, node"),
        (("go",), "node", "must be one of go"),
        (("go",), "host", "must be one of go"),
    ):
        async with client(api, alice, folder, *allowed) as http:
            refused = await http.post(path, json={**body, "environment": name})
        assert refused.status_code == 422
        assert refused.json()["errors"] == [{"field": "environment", "message": told}]


async def test_a_follow_up_is_refused_when_the_operator_took_it_away(api: Api, alice: Owner, folder: Path) -> None:
    async with client(api, alice, folder) as http:
        session = (await http.post("/sessions", json={"repo": "owner/repo", "environment": "go"})).json()
    async with client(api, alice, folder, "host") as http:
        runs = f"/sessions/{session['id']}/runs"
        assert (await http.post(runs, json={})).status_code == 422
        assert (await http.post(runs, json={"environment": "host"})).status_code == 201


async def test_an_api_without_a_worker_knows_the_setting_alone(api: Api, alice: Owner, folder: Path) -> None:
    async with client(api, alice, folder, "host", "rust", elsewhere=True) as http:
        answer = (await http.get("/environments")).json()
        assert [(each["name"], each["ready"]) for each in answer["environments"]] == [("host", True), ("rust", None)]
        assert (await http.post("/sessions", json={"repo": "o/r", "environment": "rust"})).status_code == 201
        assert (await http.post("/sessions", json={"repo": "o/r", "environment": "go"})).status_code == 422
