"""A running stand-in with one user and one repository, and a client of its REST API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDictProxy

from gitward.standin import Repository, StandIn, Token

TOKEN = "ghp_octocat0000000000000000000000000000"
REPOSITORY = "octo-org/demo"


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: CIMultiDictProxy[str]
    json: Any
    text: str


class Api:
    """Sends REST requests with one token, or another, or none."""

    def __init__(self, standin: StandIn, session: aiohttp.ClientSession) -> None:
        self.standin = standin
        self._session = session

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        data: bytes | None = None,
        token: str | None = TOKEN,
        base: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        sent = {"Authorization": f"token {token}"} if token else {}
        url = (base if base is not None else self.standin.api_url) + path
        request = self._session.request(method, url, json=json, data=data, headers={**sent, **(headers or {})})
        async with request as response:
            is_json = response.content_type == "application/json"
            return Answer(
                status=response.status,
                headers=response.headers,
                json=await response.json() if is_json else None,
                text=await response.text(),
            )


@pytest.fixture
async def standin(tmp_path: Path) -> AsyncIterator[StandIn]:
    github = StandIn(tmp_path / "github")
    github.add_user("octocat", name="Mona Lisa", email="mona@example.org")
    github.add_token(TOKEN, Token(login="octocat"))
    await github.add_repository(REPOSITORY, permissions={"octocat": "push"})
    await github.start()
    yield github
    await github.stop()


@pytest.fixture
def repository(standin: StandIn) -> Repository:
    return standin.repository(REPOSITORY)


@pytest.fixture
async def api(standin: StandIn) -> AsyncIterator[Api]:
    async with aiohttp.ClientSession() as session:
        yield Api(standin, session)
