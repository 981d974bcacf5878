"""A caller of the API that searches every answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2

from gitward.audit.channels import Channel
from gitward.audit.ledger import Ledger
from gitward.errors import GitwardError

RUN_SECONDS = 300.0
Json = dict[str, Any]


class Caller:
    """Use as an async context manager."""

    def __init__(self, url: str, jwt: str, ledger: Ledger) -> None:
        self._ledger = ledger
        headers = {"Authorization": f"Bearer {jwt}"}
        self._http = httpx2.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=30)

    async def __aenter__(self) -> Caller:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def post(self, path: str, body: Json) -> Json:
        answer = self._searched(Channel.ANSWERS, await self._http.post(path, json=body))
        if not answer.is_success:
            raise GitwardError(f"The service answered {answer.status_code}: {answer.text[:500]}")
        parsed: Json = answer.json()
        return parsed

    async def get(self, path: str, channel: Channel = Channel.ANSWERS, **parameters: str) -> httpx2.Response:
        return self._searched(channel, await self._http.get(path, params=parameters))

    async def archive(self, path: str) -> None:
        self._searched(Channel.ANSWERS, await self._http.delete(path))

    async def pages(self, path: str) -> None:
        """Every page of a list of events."""
        after = "0"
        while True:
            answer = await self.get(path, Channel.EVENTS, after=after, limit="200")
            page = answer.json()
            if not answer.is_success or not page["items"]:
                return
            after = str(page["items"][-1]["seq"])

    async def stream(self, path: str, run_id: str) -> AsyncIterator[Json]:
        """The run's events as they come, until it has ended."""
        timeout = httpx2.Timeout(RUN_SECONDS, connect=5)
        async with self._http.stream(
            "GET", path, params={"run_id": run_id}, headers={"Accept": "text/event-stream"}, timeout=timeout
        ) as answer:
            if not answer.is_success:
                raise GitwardError(f"The service answered {answer.status_code} instead of events.")
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    self._ledger.search_json(Channel.STREAM, path, line.removeprefix("data: ").encode())
                    yield json.loads(line.removeprefix("data: "))

    def _searched(self, channel: Channel, answer: httpx2.Response) -> httpx2.Response:
        place = f"{answer.request.method} {answer.request.url.path}"
        headers = b"\n".join(name + b": " + value for name, value in answer.headers.raw)
        self._ledger.search(channel, f"{place} (headers)", headers)
        self._ledger.search_json(channel, place, answer.content)
        return answer
