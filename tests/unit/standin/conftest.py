"""A running stand-in with one user and one repository, or a populated one, and clients of its two APIs."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from multidict import CIMultiDictProxy

from gitward_standin import Repository, StandIn, Token
from gitward_standin.example import Example, populate
from octocat import REPOSITORY, TOKEN, octocat


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
    async with octocat(tmp_path) as github:
        yield github


@pytest.fixture
def repository(standin: StandIn) -> Repository:
    return standin.repository(REPOSITORY)


@pytest.fixture
async def api(standin: StandIn) -> AsyncIterator[Api]:
    async with aiohttp.ClientSession() as session:
        yield Api(standin, session)


@contextlib.asynccontextmanager
async def populated(root: Path) -> AsyncIterator[tuple[StandIn, Example]]:
    """A running stand-in with the example; TOKEN belongs to its sender, and has every scope."""
    github = StandIn(root)
    contents = await populate(github)
    github.add_token(TOKEN, Token(login="octocat", scopes=("repo", "read:org", "read:project", "user:email")))
    await github.start()
    try:
        yield github, contents
    finally:
        await github.stop()


@pytest.fixture
async def example(tmp_path: Path) -> AsyncIterator[tuple[StandIn, Example]]:
    async with populated(tmp_path / "example") as world:
        yield world


class GraphQL:
    """Sends GraphQL requests with one token or another, and returns the whole JSON of the answer."""

    def __init__(self, standin: StandIn, session: aiohttp.ClientSession) -> None:
        self.standin = standin
        self._session = session

    async def __call__(self, query: str, *, token: str = TOKEN, status: int = 200, **variables: Any) -> Any:
        url, headers = f"{self.standin.url}/api/graphql", {"Authorization": f"bearer {token}"}
        body = {"query": query, "variables": variables}
        async with self._session.post(url, json=body, headers=headers) as response:
            assert response.status == status
            return await response.json()

    async def data(self, query: str, *, token: str = TOKEN, **variables: Any) -> Any:
        """The data of an answer without errors."""
        answer = await self(query, token=token, **variables)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]


@pytest.fixture
async def graphql(example: tuple[StandIn, Example]) -> AsyncIterator[GraphQL]:
    async with aiohttp.ClientSession() as session:
        yield GraphQL(example[0], session)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[StandIn, Example]]:
    """One populated stand-in for all tests of a module: for tests that change nothing but tokens."""
    async with populated(tmp_path_factory.mktemp("example") / "github") as world:
        yield world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ask(world: tuple[StandIn, Example]) -> AsyncIterator[GraphQL]:
    async with aiohttp.ClientSession() as session:
        yield GraphQL(world[0], session)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def read(world: tuple[StandIn, Example]) -> AsyncIterator[Api]:
    async with aiohttp.ClientSession() as session:
        yield Api(world[0], session)


@pytest.fixture
async def rest(example: tuple[StandIn, Example]) -> AsyncIterator[Api]:
    """The REST API of the populated stand-in."""
    async with aiohttp.ClientSession() as session:
        yield Api(example[0], session)
